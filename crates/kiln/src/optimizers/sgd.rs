//! `v = momentum v - a g; p = p + v`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{LearningRate, Optimizer, Slot};

/// Stochastic gradient descent, as Keras has it: `v = momentum v - a g; p = p + v`, or with `nesterov`
/// `p = p + momentum v - a g`, where `a` is the learning rate. The `decay` of Keras 2 is
/// [`InverseTimeDecay`](super::schedules::InverseTimeDecay).
#[derive(Clone, Debug)]
pub struct SGD {
    /// How far a step goes.
    pub learning_rate: LearningRate,
    /// How much of the last step is taken again.
    pub momentum: f64,
    /// Whether the gradient counts as taken where the momentum leads.
    pub nesterov: bool,
}

impl Default for SGD {
    fn default() -> SGD {
        SGD { learning_rate: 0.01.into(), momentum: 0.0, nesterov: false }
    }
}

impl Optimizer for SGD {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn slots(&self) -> Vec<Slot> {
        if self.momentum == 0.0 { Vec::new() } else { vec![Slot::zero("momentum")] }
    }

    fn op(&self) -> Arc<dyn Op> {
        Arc::new(ops::Sgd { momentum: self.momentum as f32, nesterov: self.nesterov })
    }
}
