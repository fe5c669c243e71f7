//! A single op on a device, for benchmarks and checks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_graph::{Array, Buffers, Choices, Graph, Op, Plan, Profile, Program, Step, Tensor, TensorType};

use crate::{Device, Precision, Result};

/// The maximum number of runs per submission.
const MOST_STEPS: u64 = 64;

const INPUT: &str = "input";
const REWRITTEN: &str = "rewritten";

/// The name of a buffer.
fn name(kind: &str, place: usize) -> String {
    format!("{kind} {place}")
}

fn types(arrays: &[Array]) -> Vec<TensorType> {
    arrays.iter().map(|array| array.ty.clone()).collect()
}

/// A program of one op with its tensors on the device, to measure or check the op.
#[derive(Debug)]
pub struct OpProgram {
    plan: Plan,
    buffers: Buffers,
    program: Box<dyn Program>,
    /// The names of the buffers and the types of its outputs or updated tensors.
    results: Vec<(String, TensorType)>,
    /// Bytes of the inputs and outputs of a run; updated tensors count twice.
    bytes: u64,
}

impl OpProgram {
    /// Creates an op with these `inputs`, which updates the tensors of `rewritten`, if there are any. It uses the
    /// fastest kernels for the device ([`Device::plan`]).
    ///
    /// # Errors
    /// If the op does not support these tensors, or the device cannot run it.
    pub fn new(device: &Device, op: Arc<dyn Op>, inputs: &[Array], rewritten: &[Array]) -> Result<OpProgram> {
        let [taken, changed] = [inputs, rewritten].map(types);
        let plan = |graph: &Graph| device.plan(graph);
        let program = OpProgram::unwritten(device, op, &taken, &changed, Precision::Float32, plan)?;
        program.write(inputs, rewritten)?;
        Ok(program)
    }

    /// As [`OpProgram::new`], with kernels of the caller's choice.
    ///
    /// # Errors
    /// As [`OpProgram::new`].
    pub fn with_choices(
        device: &Device,
        op: Arc<dyn Op>,
        inputs: &[Array],
        rewritten: &[Array],
        choices: &Choices,
    ) -> Result<OpProgram> {
        OpProgram::with_precision(device, op, inputs, rewritten, Precision::Float32, choices)
    }

    /// As [`OpProgram::with_choices`], in this precision.
    ///
    /// # Errors
    /// As [`OpProgram::new`].
    pub fn with_precision(
        device: &Device,
        op: Arc<dyn Op>,
        inputs: &[Array],
        rewritten: &[Array],
        precision: Precision,
        choices: &Choices,
    ) -> Result<OpProgram> {
        let [taken, changed] = [inputs, rewritten].map(types);
        let plan = |graph: &Graph| Ok(Plan::with(graph, &device.limits()?, choices)?);
        let program = OpProgram::unwritten(device, op, &taken, &changed, precision, plan)?;
        program.write(inputs, rewritten)?;
        Ok(program)
    }

    /// An op with uninitialised tensors.
    pub(crate) fn unwritten(
        device: &Device,
        op: Arc<dyn Op>,
        inputs: &[TensorType],
        rewritten: &[TensorType],
        precision: Precision,
        plan: impl FnOnce(&Graph) -> Result<Plan>,
    ) -> Result<OpProgram> {
        let mut graph = Graph::new();
        graph.scope(op.name());
        graph.set_precision(precision);
        let mut given = |kind: &str, types: &[TensorType]| -> Vec<(String, Tensor)> {
            let place = |(i, ty): (usize, &TensorType)| {
                let name = name(kind, i);
                let buffer = graph.buffer(&name);
                (name, graph.persistent(ty.clone(), buffer, 0))
            };
            types.iter().enumerate().map(place).collect()
        };
        let (taken, mut results) = (given(INPUT, inputs), given(REWRITTEN, rewritten));
        let taken: Vec<Tensor> = taken.into_iter().map(|(_, tensor)| tensor).collect();
        let mut bytes: u64 = rewritten.iter().map(TensorType::bytes).sum();
        if rewritten.is_empty() {
            for (i, output) in graph.add_shared(op, &taken)?.into_iter().enumerate() {
                let name = name("output", i);
                let buffer = graph.buffer(&name);
                graph.place(output, buffer, 0)?;
                results.push((name, output));
            }
        } else {
            let rewritten: Vec<Tensor> = results.iter().map(|(_, tensor)| *tensor).collect();
            graph.update(op, &taken, &rewritten)?;
        }
        let seen = taken.iter().chain(results.iter().map(|(_, tensor)| tensor));
        bytes += seen.map(|&tensor| graph.ty(tensor).bytes()).sum::<u64>();
        let results = results.into_iter().map(|(name, tensor)| (name, graph.ty(tensor).clone())).collect();
        let plan = plan(&graph)?;
        let mut buffers = Buffers::new(device.as_dyn().clone());
        let program = buffers.program(&plan)?;
        Ok(OpProgram { plan, buffers, program, results, bytes })
    }

    /// Replaces the values of the op's inputs and updated tensors.
    ///
    /// # Errors
    /// If the device fails.
    pub fn write(&self, inputs: &[Array], rewritten: &[Array]) -> Result<()> {
        for (kind, values) in [(INPUT, inputs), (REWRITTEN, rewritten)] {
            for (i, value) in values.iter().enumerate() {
                // Tensors that no kernel reads have no buffer.
                if let Some(buffer) = self.buffers.get(&name(kind, i)) {
                    buffer.write(0, &value.to_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// Floating-point operations of a run; 0 for memory-bound ops.
    pub fn flops(&self) -> u64 {
        self.plan.calls.iter().map(|call| call.flops).sum()
    }

    /// Bytes of the inputs and outputs of a run; updated tensors count twice.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The kernel calls that compute the op.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs the op `times` times, as in the first step of a training, and waits. Returns the total time.
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(&mut self, times: u64) -> Result<Duration> {
        self.run_in(Step::default(), times)
    }

    /// As [`OpProgram::run`], in a step of the caller's choice.
    ///
    /// # Errors
    /// If the device fails.
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

    /// The mean time of each kernel call of the op over `times` runs, after a warm-up.
    ///
    /// # Errors
    /// If the device fails or cannot time its calls.
    pub fn profile(&mut self, times: u64) -> Result<Profile> {
        Ok(self.buffers.profile(&self.plan, &vec![Step::default(); times as usize + 1])?)
    }

    /// The outputs or updated tensors of the last run.
    ///
    /// # Errors
    /// If the device fails.
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
