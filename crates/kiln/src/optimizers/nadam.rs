//! `p = p - (a m + b g) / (sqrt(v / (1 - beta_2^t)) + epsilon)`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{LearningRate, Optimizer, Slot, WeightDecay};

/// Nadam (Dozat 2016), as in Keras: [`Adam`](super::Adam)'s `m` and `v`, and in step `t`, counted from 1, `p = p -
/// learning_rate (u(t+1) / (1 - U(t+1)) m + (1 - u(t)) / (1 - U(t)) g) / (sqrt(v / (1 - beta_2^t)) + epsilon)` with
/// `u(t) = beta_1 (1 - 0.96^t / 2)` and `U(t) = u(1) … u(t)`.
#[derive(Clone, Debug)]
pub struct Nadam {
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// The decay rate of the mean gradient `m`.
    pub beta_1: f64,
    /// The decay rate of the mean squared gradient `v`.
    pub beta_2: f64,
    /// A small constant for numerical stability.
    pub epsilon: f64,
    /// The weight decay, applied before each step and scaled by the learning rate; none by default.
    pub weight_decay: WeightDecay,
}

impl Default for Nadam {
    fn default() -> Nadam {
        let weight_decay = 0.0.into();
        Nadam { learning_rate: 0.001.into(), beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, weight_decay }
    }
}

impl Optimizer for Nadam {
    fn name(&self) -> &'static str {
        "nadam"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn weight_decay(&self) -> &WeightDecay {
        &self.weight_decay
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("momentum"), Slot::zero("velocity")]
    }

    fn op(&self) -> Arc<dyn Op> {
        // Keras subtracts both from 1 in f32; the rounding errors cancel in the first steps.
        let [gain_1, gain_2] = [self.beta_1, self.beta_2].map(|beta| 1.0 - beta as f32);
        Arc::new(ops::Nadam { gain_1, gain_2, epsilon: self.epsilon as f32 })
    }

    fn rates(&self, iterations: u64, learning_rate: f32) -> [f32; 4] {
        let t = iterations + 1;
        let u = |t: u64| self.beta_1 as f32 * (1.0 - 0.5 * 0.96f32.powf(t as f32));
        let mut product = 1.0;
        for step in 1..=t {
            product *= u(step);
            if product < f32::EPSILON / 8.0 {
                break; // 1 minus it is 1 from here on.
            }
        }
        let rate = learning_rate * u(t + 1) / (1.0 - product * u(t + 1));
        let rate_now = learning_rate * (1.0 - u(t)) / (1.0 - product);
        let scale = 1.0 / (1.0 - (self.beta_2 as f32).powf(t as f32));
        [rate, rate_now, scale, 0.0]
    }
}
