//! `u = g sqrt(d + epsilon) / sqrt(a + epsilon); p = p - learning_rate u`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{LearningRate, Optimizer, Slot, WeightDecay};

/// Adadelta (Zeiler 2012), as in Keras: `a = rho a + (1 - rho) g^2; u = g sqrt(d + epsilon) / sqrt(a + epsilon); d =
/// rho d + (1 - rho) u^2; p = p - learning_rate u`. The paper and Keras 2 use a `learning_rate` of 1.
#[derive(Clone, Debug)]
pub struct Adadelta {
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// The decay rate of the mean squared gradient `a` and the mean squared update `d`.
    pub rho: f64,
    /// A small constant for numerical stability, which determines the size of the first steps.
    pub epsilon: f64,
    /// The weight decay, applied before each step and scaled by the learning rate; none by default.
    pub weight_decay: WeightDecay,
}

impl Default for Adadelta {
    fn default() -> Adadelta {
        Adadelta { learning_rate: 0.001.into(), rho: 0.95, epsilon: 1e-7, weight_decay: 0.0.into() }
    }
}

impl Optimizer for Adadelta {
    fn name(&self) -> &'static str {
        "adadelta"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn weight_decay(&self) -> &WeightDecay {
        &self.weight_decay
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("accumulated_grad"), Slot::zero("accumulated_delta_var")]
    }

    fn op(&self) -> Arc<dyn Op> {
        Arc::new(ops::Adadelta { rho: self.rho, epsilon: self.epsilon as f32 })
    }
}
