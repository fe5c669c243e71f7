//! A graph with values, run on a device.

use std::sync::Arc;

use kiln::graph::{Array, Buffers, Device, Graph, Interpreter, Plan, Program, Step, Tensor, TensorType};

use crate::common::device;

/// A graph whose persistent tensors have values.
pub struct Bench {
    device: Arc<dyn Device>,
    pub graph: Graph,
    /// The persistent tensors with values, and the names of their buffers.
    pub values: Vec<(String, Array, Tensor)>,
}

impl Bench {
    /// On the shared device.
    pub fn new() -> Bench {
        Bench::on(device().as_dyn())
    }

    pub fn on(device: &Arc<dyn Device>) -> Bench {
        Bench { device: device.clone(), graph: Graph::new(), values: Vec::new() }
    }

    /// A tensor with this value, in its own buffer.
    pub fn given(&mut self, value: &Array) -> Tensor {
        let name = format!("given {}", self.values.len());
        let buffer = self.graph.buffer(&name);
        let tensor = self.graph.persistent(value.ty.clone(), buffer, 0);
        self.values.push((name, value.clone(), tensor));
        tensor
    }

    /// Keeps a tensor after the run.
    pub fn keep(&mut self, tensor: Tensor, name: &str) {
        let buffer = self.graph.buffer(name);
        self.graph.place(tensor, buffer, 0).unwrap();
    }

    /// The buffer of a tensor with a value.
    pub fn buffer_of(&self, tensor: Tensor) -> Option<&str> {
        self.values.iter().find(|(_, _, given)| *given == tensor).map(|(name, _, _)| name.as_str())
    }

    /// The program of the graph, and its buffers with the values.
    pub fn program(&self) -> (Buffers, Box<dyn Program>) {
        let plan = Plan::new(&self.graph, &self.device.info().limits).unwrap();
        let mut buffers = Buffers::new(self.device.clone());
        for (name, value, _) in &self.values {
            let bytes = value.to_bytes();
            buffers.named(name, bytes.len() as u64).unwrap().write(0, &bytes).unwrap();
        }
        let program = buffers.program(&plan).unwrap();
        (buffers, program)
    }

    /// Runs the graph once.
    pub fn run(&self, step: Step) -> Buffers {
        let (buffers, mut program) = self.program();
        program.run(&[step], None).unwrap().wait().unwrap();
        buffers
    }

    /// Runs the graph once on the host, in f64.
    pub fn interpret(&self, step: &Step) -> Interpreter {
        let mut interpreter = Interpreter::new();
        for (_, value, tensor) in &self.values {
            interpreter.set(*tensor, value.clone());
        }
        interpreter.run(&self.graph, step);
        interpreter
    }
}

/// The start of a buffer.
pub fn read(buffers: &Buffers, name: &str, ty: &TensorType) -> Array {
    let bytes = buffers.get(name).unwrap().read(0, ty.bytes()).unwrap();
    Array::from_bytes(ty.clone(), &bytes)
}
