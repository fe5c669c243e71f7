//! `a = a + g^2; p = p - learning_rate g / sqrt(a + epsilon)`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{LearningRate, Optimizer, Slot, WeightDecay};

/// Adagrad (Duchi, Hazan and Singer 2011), as in Keras 3: `a = a + g^2; p = p - learning_rate g / sqrt(a + epsilon)`.
#[derive(Clone, Debug)]
pub struct Adagrad {
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// The initial value of `a`.
    pub initial_accumulator_value: f64,
    /// A small constant for numerical stability.
    pub epsilon: f64,
    /// The weight decay, applied before each step and scaled by the learning rate; none by default.
    pub weight_decay: WeightDecay,
}

impl Default for Adagrad {
    fn default() -> Adagrad {
        Adagrad { learning_rate: 0.001.into(), initial_accumulator_value: 0.1, epsilon: 1e-7, weight_decay: 0.0.into() }
    }
}

impl Optimizer for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn weight_decay(&self) -> &WeightDecay {
        &self.weight_decay
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot { name: "accumulator", initial: self.initial_accumulator_value as f32 }]
    }

    fn op(&self) -> Arc<dyn Op> {
        Arc::new(ops::Adagrad { epsilon: self.epsilon as f32 })
    }
}
