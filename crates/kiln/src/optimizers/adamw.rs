//! `p = p - weight_decay learning_rate p`, then a step of Adam.

use std::sync::Arc;

use kiln_graph::Op;

use super::{Adam, LearningRate, Optimizer, Slot, WeightDecay};

/// AdamW (Loshchilov and Hutter 2019), as in Keras: [`Adam`] with a [`WeightDecay`], by default 0.004.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// The weight decay, applied before each step and scaled by the learning rate.
    pub weight_decay: WeightDecay,
    /// The decay rate of the mean gradient `m`.
    pub beta_1: f64,
    /// The decay rate of the mean squared gradient `v`.
    pub beta_2: f64,
    /// A small constant for numerical stability.
    pub epsilon: f64,
    /// Whether to use the largest `v` so far (AMSGrad).
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> AdamW {
        let Adam { learning_rate, beta_1, beta_2, epsilon, amsgrad, .. } = Adam::default();
        AdamW { learning_rate, weight_decay: 0.004.into(), beta_1, beta_2, epsilon, amsgrad }
    }
}

impl AdamW {
    /// The same rule as [`Adam`].
    fn adam(&self) -> Adam {
        let AdamW { learning_rate, weight_decay, beta_1, beta_2, epsilon, amsgrad } = self.clone();
        Adam { learning_rate, weight_decay, beta_1, beta_2, epsilon, amsgrad }
    }
}

impl Optimizer for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn weight_decay(&self) -> &WeightDecay {
        &self.weight_decay
    }

    fn slots(&self) -> Vec<Slot> {
        self.adam().slots()
    }

    fn op(&self) -> Arc<dyn Op> {
        self.adam().op()
    }

    fn rates(&self, iterations: u64, learning_rate: f32) -> [f32; 4] {
        self.adam().rates(iterations, learning_rate)
    }
}
