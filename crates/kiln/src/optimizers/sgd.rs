//! `v = momentum v - a g; p = p + v`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{LearningRate, Optimizer, Slot, WeightDecay};
use crate::{Error, Result};

/// Stochastic gradient descent, as in Keras: `v = momentum v - a g; p = p + v`, or with `nesterov`
/// `p = p + momentum v - a g`, where `a` is the learning rate. The `decay` of Keras 2 is
/// [`InverseTimeDecay`](super::schedules::InverseTimeDecay).
#[derive(Clone, Debug)]
pub struct SGD {
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// The momentum, 0 for none.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// The weight decay, applied before each step and scaled by the learning rate; none by default.
    pub weight_decay: WeightDecay,
}

impl Default for SGD {
    fn default() -> SGD {
        SGD { learning_rate: 0.01.into(), momentum: 0.0, nesterov: false, weight_decay: 0.0.into() }
    }
}

impl Optimizer for SGD {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn weight_decay(&self) -> &WeightDecay {
        &self.weight_decay
    }

    fn check(&self) -> Result<()> {
        match self.momentum {
            momentum if (0.0..=1.0).contains(&momentum) => Ok(()),
            momentum => {
                let (expected, found) = ("0 to 1".to_owned(), momentum.to_string());
                Err(Error::Argument { name: "momentum", expected, found })
            }
        }
    }

    fn slots(&self) -> Vec<Slot> {
        if self.momentum == 0.0 { Vec::new() } else { vec![Slot::zero("momentum")] }
    }

    fn op(&self) -> Arc<dyn Op> {
        Arc::new(ops::Sgd { momentum: self.momentum as f32, nesterov: self.nesterov })
    }
}
