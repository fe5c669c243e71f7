//! Test cases of ops.

use std::sync::Arc;

use kiln_graph::{Array, Graph, Interpreter, Op, Result, Step, Tensor};

use crate::ScaleAdd;

/// An op with inputs, checked on a device against the f64 reference, and by finite differences.
#[derive(Clone, Debug)]
pub struct Case {
    /// The op and the variant of this case: `conv2d 5x5 same`.
    pub name: String,
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its inputs.
    pub inputs: Vec<Array>,
    /// The old values of the tensors that it updates, if any.
    pub rewritten: Vec<Array>,
    /// The step in which it runs.
    pub step: Step,
    /// The inputs with respect to which it has a gradient.
    pub differentiable: Vec<usize>,
}

impl Case {
    /// Creates a case of an op with new output tensors.
    pub(crate) fn new(name: impl Into<String>, op: impl Op + 'static, inputs: Vec<Array>) -> Case {
        Case {
            name: name.into(),
            op: Arc::new(op),
            inputs,
            rewritten: Vec::new(),
            step: Step::default(),
            differentiable: Vec::new(),
        }
    }

    /// Cases of the ops that compute this case's gradient, for a random gradient of its first output. Empty if it is
    /// not differentiable.
    ///
    /// # Errors
    /// If the op refuses its own inputs.
    pub fn gradients(&self) -> Result<Vec<Case>> {
        if self.differentiable.is_empty() {
            return Ok(Vec::new());
        }
        let (mut graph, mut interpreter) = (Graph::new(), Interpreter::new());
        let mut given = |graph: &mut Graph, value: Array| {
            let buffer = graph.buffer(&format!("given {}", graph.nodes().len()));
            let tensor = graph.persistent(value.ty.clone(), buffer, 0);
            interpreter.set(tensor, value);
            tensor
        };
        let inputs: Vec<Tensor> = self.inputs.iter().map(|input| given(&mut graph, input.clone())).collect();
        let y = graph.add_shared(self.op.clone(), &inputs)?[0];
        let dy = Array::random(graph.shape(y).clone(), 11);
        let dy = given(&mut graph, dy);
        let wanted: Vec<Tensor> = self.differentiable.iter().map(|&input| inputs[input]).collect();
        let sum: Arc<dyn Op> = Arc::new(ScaleAdd { a: 1.0, b: 1.0 });
        graph.gradients(y, dy, &wanted, &sum)?;
        interpreter.run(&graph, &self.step);
        let case = |node: &kiln_graph::Node| Case {
            name: format!("{} of {}", node.op.name(), self.name),
            op: node.op.clone(),
            inputs: node.inputs.iter().map(|&input| interpreter.get(&graph, input)).collect(),
            rewritten: Vec::new(),
            step: self.step,
            differentiable: Vec::new(),
        };
        Ok(graph.nodes()[1..].iter().map(case).collect())
    }

    /// Sets the inputs with a gradient.
    pub(crate) fn differentiable(mut self, inputs: &[usize]) -> Case {
        self.differentiable = inputs.to_vec();
        self
    }

    /// Sets the old values of the tensors that the op updates.
    pub(crate) fn rewriting(mut self, old: Vec<Array>) -> Case {
        self.rewritten = old;
        self
    }

    /// Sets the step.
    pub(crate) fn at(mut self, step: Step) -> Case {
        self.step = step;
        self
    }
}
