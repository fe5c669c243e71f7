//! `p = p - a m / (sqrt(v) + epsilon)`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{LearningRate, Optimizer, Slot, WeightDecay};

/// Adam (Kingma and Ba 2015), as in Keras:
/// `m = beta_1 m + (1 - beta_1) g; v = beta_2 v + (1 - beta_2) g^2; p = p - a m / (sqrt(v) + epsilon)` with
/// `a = learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t)` in step `t`; the first is 1. `epsilon` is the paper's
/// "epsilon hat", without bias correction.
#[derive(Clone, Debug)]
pub struct Adam {
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// The decay rate of the mean gradient `m`.
    pub beta_1: f64,
    /// The decay rate of the mean squared gradient `v`.
    pub beta_2: f64,
    /// A small constant for numerical stability.
    pub epsilon: f64,
    /// Whether to use the largest `v` so far (AMSGrad; Reddi, Kale and Kumar 2018).
    pub amsgrad: bool,
    /// The weight decay, applied before each step and scaled by the learning rate; none by default.
    pub weight_decay: WeightDecay,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam {
            learning_rate: 0.001.into(),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
            weight_decay: 0.0.into(),
        }
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn weight_decay(&self) -> &WeightDecay {
        &self.weight_decay
    }

    fn slots(&self) -> Vec<Slot> {
        let largest = self.amsgrad.then(|| Slot::zero("velocity_hat"));
        [Slot::zero("momentum"), Slot::zero("velocity")].into_iter().chain(largest).collect()
    }

    fn op(&self) -> Arc<dyn Op> {
        let Adam { beta_1, beta_2, epsilon, amsgrad, .. } = *self;
        Arc::new(ops::Adam { beta_1, beta_2, epsilon: epsilon as f32, amsgrad })
    }

    fn rates(&self, iterations: u64, learning_rate: f32) -> [f32; 4] {
        // In f32, as in Keras, which differs from f64 by 2e-5 in the first steps, and by 3e-3 after 20 steps of a
        // convolution's bias.
        let power = |beta: f64| (beta as f32).powf(iterations as f32 + 1.0);
        let step_size = learning_rate * (1.0 - power(self.beta_2)).sqrt() / (1.0 - power(self.beta_1));
        [step_size, 0.0, 0.0, 0.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adams_first_steps_are_corrected_for_bias() {
        let adam = Adam::default();
        for t in [1, 2, 1000, 1_000_000] {
            let expected = 0.001 * (1.0 - 0.999f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t));
            let found = f64::from(adam.rates(t as u64 - 1, 0.001)[0]);
            assert!((found / expected - 1.0).abs() < 3e-5, "step {t}: expected {expected}, found {found}");
        }
    }
}
