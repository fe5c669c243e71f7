//! One op alone on a device, with values.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln::graph::{Array, Buffers, Graph, Op, Plan, Profile, Program, Step, Tensor, TensorType};
use kiln::{Device, Result};

/// The most runs of a submission.
const MOST_STEPS: u64 = 64;

/// A program of one op over values that lie on the device.
pub struct Alone {
    plan: Plan,
    buffers: Buffers,
    program: Box<dyn Program>,
    /// What it gives or rewrites: the buffers' names, and the types.
    results: Vec<(String, TensorType)>,
    /// Floating-point operations of a run; 0 where memory traffic is what counts.
    pub flops: u64,
    /// Bytes of the tensors that a run takes and gives; what it rewrites counts twice.
    pub bytes: u64,
}

impl Alone {
    /// An op that takes `inputs`, and gives tensors or, if there are any, rewrites those of `rewritten`.
    ///
    /// # Errors
    /// When the op does not take these, or the device cannot run it.
    pub fn new(device: &Device, op: Arc<dyn Op>, inputs: &[Array], rewritten: &[Array]) -> Result<Alone> {
        let mut graph = Graph::new();
        graph.scope(op.name());
        let mut buffers = Buffers::new(device.as_dyn().clone());
        let mut given = |name: &str, values: &[Array]| -> Result<Vec<(String, Tensor)>> {
            let place = |(i, value): (usize, &Array)| {
                let (name, bytes) = (format!("{name} {i}"), value.to_bytes());
                buffers.named(&name, bytes.len() as u64)?.write(0, &bytes)?;
                let buffer = graph.buffer(&name);
                Ok((name, graph.persistent(value.ty.clone(), buffer, 0)))
            };
            values.iter().enumerate().map(place).collect()
        };
        let (taken, mut results) = (given("input", inputs)?, given("rewritten", rewritten)?);
        let taken: Vec<Tensor> = taken.into_iter().map(|(_, tensor)| tensor).collect();
        let mut bytes: u64 = rewritten.iter().map(|old| old.ty.bytes()).sum();
        if rewritten.is_empty() {
            for (i, output) in graph.add_shared(op, &taken)?.into_iter().enumerate() {
                let name = format!("output {i}");
                let buffer = graph.buffer(&name);
                graph.place(output, buffer, 0);
                results.push((name, output));
            }
        } else {
            let rewritten: Vec<Tensor> = results.iter().map(|(_, tensor)| *tensor).collect();
            graph.update(op, &taken, &rewritten)?;
        }
        bytes +=
            taken.iter().chain(results.iter().map(|(_, tensor)| tensor)).map(|&at| graph.ty(at).bytes()).sum::<u64>();
        let results = results.into_iter().map(|(name, tensor)| (name, graph.ty(tensor).clone())).collect();
        let plan = Plan::new(&graph, &device.info().limits)?;
        let flops = plan.calls.iter().map(|call| call.flops).sum();
        let program = buffers.program(&plan)?;
        Ok(Alone { plan, buffers, program, results, flops, bytes })
    }

    /// The kernel calls that compute the op.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs the op so many times, in the first step of a training, and waits. Gives the time that all took together.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run(&mut self, times: u64) -> Result<Duration> {
        self.run_in(Step::default(), times)
    }

    /// As [`Alone::run`], in a step of the caller's choice.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run_in(&mut self, step: Step, times: u64) -> Result<Duration> {
        let start = Instant::now();
        let mut left = times;
        while left > 0 {
            let steps = left.min(MOST_STEPS);
            self.program.run(&vec![step; steps as usize], None)?.wait()?;
            left -= steps;
        }
        Ok(start.elapsed())
    }

    /// The mean time of each kernel call of the op over so many runs, after one that warms up.
    ///
    /// # Errors
    /// When the device fails or cannot time its calls.
    pub fn profile(&mut self, times: u64) -> Result<Profile> {
        Ok(self.buffers.profile(&self.plan, &vec![Step::default(); times as usize + 1])?)
    }

    /// What the op gave or left when it ran last.
    ///
    /// # Errors
    /// When the device fails.
    pub fn results(&self) -> Result<Vec<Array>> {
        let read = |(name, ty): &(String, TensorType)| {
            let bytes = match self.buffers.get(name) {
                Some(buffer) => buffer.read(0, ty.bytes())?,
                None => Vec::new(),
            };
            Ok(Array::from_bytes(ty.clone(), &bytes))
        };
        self.results.iter().map(read).collect()
    }
}
