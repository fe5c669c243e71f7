//! Runs a graph on the host in f64 with the ops' references, to check a device's results.

use std::collections::HashMap;

use crate::{Array, Graph, Step, Storage, Tensor};

/// A graph's values in f64.
#[derive(Debug, Default)]
pub struct Interpreter {
    values: HashMap<Tensor, Array>,
}

impl Interpreter {
    /// Creates an interpreter without values.
    pub fn new() -> Interpreter {
        Interpreter::default()
    }

    /// Sets the value of a persistent tensor.
    pub fn set(&mut self, tensor: Tensor, value: Array) {
        self.values.insert(tensor, value);
    }

    /// Runs all nodes once, in order. Persistent tensors without a value are zero.
    pub fn run(&mut self, graph: &Graph, step: &Step) {
        for node in graph.nodes() {
            let taken = node.inputs.iter().chain(node.outputs.iter().filter(|_| node.updates));
            let taken: Vec<Array> = taken.map(|&tensor| self.get(graph, tensor)).collect();
            let given = node.op.reference(&taken.iter().collect::<Vec<_>>(), step);
            for (&output, mut value) in node.outputs.iter().zip(given) {
                value.ty = graph.ty(output).clone();
                self.values.insert(output, value);
            }
        }
    }

    /// A tensor's value, set or computed, through views; zero for a persistent tensor without a value.
    ///
    /// # Panics
    /// For a tensor of another graph ([`Graph::owns`]).
    pub fn get(&self, graph: &Graph, tensor: Tensor) -> Array {
        let ty = graph.ty(tensor).clone();
        let data = match (self.values.get(&tensor), graph.viewed(tensor)) {
            (Some(value), _) => value.data.clone(),
            (None, Some(of)) => self.get(graph, of).data,
            (None, None) => {
                debug_assert!(
                    matches!(graph.storage(tensor), Storage::Persistent { .. }),
                    "used before it is computed"
                );
                vec![0.0; ty.shape.elements()]
            }
        };
        Array { ty, data }
    }
}
