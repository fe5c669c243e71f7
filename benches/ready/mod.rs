//! One op alone, made ready to be run again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln::Device;
use kiln::graph::{Array, Buffers, Graph, Op, Plan, Program, Step, Tensor};

/// The most runs of a submission.
const MOST_STEPS: u64 = 64;

/// A program of one op over values that lie on the device.
pub struct Ready {
    program: Box<dyn Program>,
    /// Floating-point operations of a run; 0 where memory traffic is what counts.
    pub flops: u64,
    /// Bytes of the tensors that a run takes and gives; what it rewrites counts twice.
    pub bytes: u64,
}

impl Ready {
    /// An op that takes `inputs`, and gives tensors or, if there are any, rewrites those of `rewritten`.
    pub fn new(device: &Device, op: Arc<dyn Op>, inputs: &[Array], rewritten: &[Array]) -> Ready {
        let mut graph = Graph::new();
        graph.scope(op.name());
        let mut buffers = Buffers::new(device.as_dyn().clone());
        let mut given = |value: &Array, name: String| -> Tensor {
            let bytes = value.to_bytes();
            buffers.named(&name, bytes.len() as u64).unwrap().write(0, &bytes).unwrap();
            let buffer = graph.buffer(&name);
            graph.persistent(value.ty.clone(), buffer, 0)
        };
        let taken: Vec<Tensor> =
            inputs.iter().enumerate().map(|(i, value)| given(value, format!("input {i}"))).collect();
        let changed: Vec<Tensor> =
            rewritten.iter().enumerate().map(|(i, value)| given(value, format!("rewritten {i}"))).collect();
        if changed.is_empty() {
            for (i, output) in graph.add_shared(op, &taken).unwrap().into_iter().enumerate() {
                let buffer = graph.buffer(&format!("output {i}"));
                graph.place(output, buffer, 0);
            }
        } else {
            graph.update(op, &taken, &changed).unwrap();
        }
        let node = &graph.nodes()[0];
        let bytes = |tensors: &[Tensor]| tensors.iter().map(|&tensor| graph.ty(tensor).bytes()).sum::<u64>();
        let bytes = bytes(&node.inputs) + bytes(&node.outputs) + bytes(&changed);
        let plan = Plan::new(&graph, &device.info().limits).unwrap();
        let flops = plan.calls.iter().map(|call| call.flops).sum();
        Ready { program: buffers.program(&plan).unwrap(), flops, bytes }
    }

    /// Runs the op so many times and waits. Gives the time that all took together.
    pub fn run(&mut self, times: u64) -> Duration {
        let start = Instant::now();
        let mut left = times;
        while left > 0 {
            let steps = left.min(MOST_STEPS);
            self.program.run(&vec![Step::default(); steps as usize], None).unwrap().wait().unwrap();
            left -= steps;
        }
        start.elapsed()
    }
}
