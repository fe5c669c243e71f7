//! `v = momentum v - a g; p = p + v`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{Optimizer, Slot};

/// Stochastic gradient descent, as Keras has it: `v = momentum v - a g; p = p + v`, or with `nesterov`
/// `p = p + momentum v - a g`, where `a = learning_rate / (1 + decay t)` after `t` steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SGD {
    /// How far the first step goes.
    pub learning_rate: f64,
    /// How much of the last step is taken again.
    pub momentum: f64,
    /// Whether the gradient counts as taken where the momentum leads.
    pub nesterov: bool,
    /// How fast steps shrink.
    pub decay: f64,
}

impl Default for SGD {
    fn default() -> SGD {
        SGD { learning_rate: 0.01, momentum: 0.0, nesterov: false, decay: 0.0 }
    }
}

impl Optimizer for SGD {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn slots(&self) -> Vec<Slot> {
        if self.momentum == 0.0 { Vec::new() } else { vec![Slot::zero("momentum")] }
    }

    fn op(&self) -> Arc<dyn Op> {
        Arc::new(ops::Sgd { momentum: self.momentum as f32, nesterov: self.nesterov })
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn rates(&self, iterations: u64) -> [f32; 4] {
        [(self.learning_rate / (1.0 + self.decay * iterations as f64)) as f32, 0.0, 0.0, 0.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sgds_steps_shrink_with_decay() {
        let sgd = SGD { learning_rate: 0.1, decay: 0.5, ..SGD::default() };
        assert_eq!([0, 2, 8].map(|done| sgd.rates(done)[0]), [0.1, 0.05, 0.02]);
    }
}
