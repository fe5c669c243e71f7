//! `p = p - weight_decay learning_rate p`, then a step of Adam.

use std::sync::Arc;

use kiln_graph::Op;

use super::{Adam, LearningRate, Optimizer, Slot};

/// AdamW (Loshchilov and Hutter 2019), as Keras has it: `p = p - weight_decay learning_rate p`, then a step of [`Adam`],
/// whose gradients know nothing of the decay. All variables decay.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// How far a step goes.
    pub learning_rate: LearningRate,
    /// How fast parameters decay.
    pub weight_decay: f64,
    /// How slowly the mean of the gradients `m` changes.
    pub beta_1: f64,
    /// How slowly the mean of their squares `v` changes.
    pub beta_2: f64,
    /// What keeps the quotient small where `v` is.
    pub epsilon: f64,
    /// Whether the largest `v` so far stands in its place.
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> AdamW {
        let Adam { learning_rate, beta_1, beta_2, epsilon, amsgrad } = Adam::default();
        AdamW { learning_rate, weight_decay: 0.004, beta_1, beta_2, epsilon, amsgrad }
    }
}

impl AdamW {
    /// The rule without the decay.
    fn adam(&self) -> Adam {
        let AdamW { learning_rate, weight_decay: _, beta_1, beta_2, epsilon, amsgrad } = self.clone();
        Adam { learning_rate, beta_1, beta_2, epsilon, amsgrad }
    }
}

impl Optimizer for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn slots(&self) -> Vec<Slot> {
        self.adam().slots()
    }

    fn op(&self) -> Arc<dyn Op> {
        self.adam().op()
    }

    fn rates(&self, iterations: u64, learning_rate: f32) -> [f32; 4] {
        let [rate, ..] = self.adam().rates(iterations, learning_rate);
        [rate, self.weight_decay as f32 * learning_rate, 0.0, 0.0]
    }
}
