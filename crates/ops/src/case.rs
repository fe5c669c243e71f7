//! Inputs on which an op is checked.

use std::sync::Arc;

use kiln_graph::{Array, Op, Step};

/// An op with inputs: checked on a device against the f64 reference, and by finite differences.
#[derive(Clone, Debug)]
pub struct Case {
    /// The op and what is special about this case: `conv2d 5x5 same`.
    pub name: String,
    /// The op.
    pub op: Arc<dyn Op>,
    /// What it takes.
    pub inputs: Vec<Array>,
    /// The old values of what it rewrites, if it is such an op.
    pub rewritten: Vec<Array>,
    /// What it sees of the step.
    pub step: Step,
    /// The inputs with respect to which it has a gradient.
    pub differentiable: Vec<usize>,
}

impl Case {
    /// An op that gives new tensors.
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

    /// This case, with a gradient with respect to these inputs.
    pub(crate) fn differentiable(mut self, inputs: &[usize]) -> Case {
        self.differentiable = inputs.to_vec();
        self
    }

    /// This case, rewriting tensors that hold these values.
    pub(crate) fn rewriting(mut self, old: Vec<Array>) -> Case {
        self.rewritten = old;
        self
    }

    /// This case in this step.
    pub(crate) fn at(mut self, step: Step) -> Case {
        self.step = step;
        self
    }
}
