//! Optimizers: how a step changes the parameters, given their gradients.

use std::fmt::Debug;
use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

/// A rule that changes parameters, given their gradients. It sees all variables of a model as one flat tensor.
pub trait Optimizer: Debug + Send + Sync {
    /// Keras' name: `adam`.
    fn name(&self) -> &'static str;

    /// The names of the tensors that the rule keeps from step to step, each as large as the parameters and zero at
    /// first.
    fn slots(&self) -> &'static [&'static str];

    /// The op that takes the gradients and rewrites the parameters and then the slots.
    fn op(&self) -> Arc<dyn Op>;

    /// What the op is told of the step after `iterations` steps: its step size, all that depends on the number of steps
    /// included, and what else it needs.
    fn rates(&self, iterations: u64) -> [f32; 4];
}

impl<O: Optimizer + 'static> From<O> for Box<dyn Optimizer> {
    fn from(optimizer: O) -> Box<dyn Optimizer> {
        Box::new(optimizer)
    }
}

/// Adam (Kingma and Ba 2015), as Keras has it:
/// `m = beta_1 m + (1 - beta_1) g; v = beta_2 v + (1 - beta_2) g^2; p = p - a m / (sqrt(v) + epsilon)` with
/// `a = learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t)` in step `t`, the first being 1. `epsilon` is the paper's
/// "epsilon hat": it is not corrected for bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// How far a step goes.
    pub learning_rate: f64,
    /// How slowly the mean of the gradients `m` changes.
    pub beta_1: f64,
    /// How slowly the mean of their squares `v` changes.
    pub beta_2: f64,
    /// What keeps the quotient small where `v` is.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn slots(&self) -> &'static [&'static str] {
        &["momentum", "velocity"]
    }

    fn op(&self) -> Arc<dyn Op> {
        let Adam { beta_1, beta_2, epsilon, .. } = *self;
        Arc::new(ops::Adam { beta_1, beta_2, epsilon: epsilon as f32 })
    }

    fn rates(&self, iterations: u64) -> [f32; 4] {
        // In f32, as Keras has it: the first steps are 2e-5 off in f64's eyes, and 20 steps of a convolution's bias 3e-3.
        let power = |beta: f64| (beta as f32).powf(iterations as f32 + 1.0);
        let step_size = self.learning_rate as f32 * (1.0 - power(self.beta_2)).sqrt() / (1.0 - power(self.beta_1));
        [step_size, 0.0, 0.0, 0.0]
    }
}

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

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum"] }
    }

    fn op(&self) -> Arc<dyn Op> {
        Arc::new(ops::Sgd { momentum: self.momentum as f32, nesterov: self.nesterov })
    }

    fn rates(&self, iterations: u64) -> [f32; 4] {
        [(self.learning_rate / (1.0 + self.decay * iterations as f64)) as f32, 0.0, 0.0, 0.0]
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
            let found = f64::from(adam.rates(t as u64 - 1)[0]);
            assert!((found / expected - 1.0).abs() < 3e-5, "step {t}: expected {expected}, found {found}");
        }
    }

    #[test]
    fn sgds_steps_shrink_with_decay() {
        let sgd = SGD { learning_rate: 0.1, decay: 0.5, ..SGD::default() };
        assert_eq!([0, 2, 8].map(|done| sgd.rates(done)[0]), [0.1, 0.05, 0.02]);
    }
}
