//! Runs a graph on the host in f64, by the ops' references: what a device's results are checked against.

use std::collections::HashMap;

use crate::{Array, Graph, Step, Storage, Tensor};

/// A graph's values in f64.
#[derive(Debug, Default)]
pub struct Interpreter {
    values: HashMap<Tensor, Array>,
}

impl Interpreter {
    /// No values yet.
    pub fn new() -> Interpreter {
        Interpreter::default()
    }

    /// Gives a persistent tensor its value.
    pub fn set(&mut self, tensor: Tensor, value: Array) {
        self.values.insert(tensor, value);
    }

    /// Runs all nodes once, in order. A persistent tensor that was given no value is zero.
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

    /// A tensor's value: what was set or computed, through views; zero for a persistent one that has none.
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
