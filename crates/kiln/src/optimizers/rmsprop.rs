//! `p = p - learning_rate g / sqrt(v + epsilon)`.

use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops as ops;

use super::{LearningRate, Optimizer, Slot, WeightDecay};

/// RMSprop (Hinton 2012), as in Keras 3: `v = rho v + (1 - rho) g^2; p = p - learning_rate g / sqrt(v + epsilon)`. With
/// momentum, `b = momentum b + learning_rate g / sqrt(v + epsilon); p = p - b`. If it is centered, `a = rho a + (1 -
/// rho) g`, and `v - a^2` replaces `v` under the root.
///
/// Keras' documentation describes `epsilon` as the "epsilon hat" of Kingma and Ba, which is added to the root, as in
/// Keras 2 and torch: without `epsilon_under_root` the quotient is `g / (sqrt(v) + epsilon)`, with larger steps for
/// small gradients.
#[derive(Clone, Debug)]
pub struct RMSprop {
    /// The learning rate.
    pub learning_rate: LearningRate,
    /// The decay rate of the mean gradient and the mean squared gradient.
    pub rho: f64,
    /// The momentum, 0 for none.
    pub momentum: f64,
    /// A small constant for numerical stability.
    pub epsilon: f64,
    /// Whether `epsilon` is added under the root, as in Keras 3, or to it, as in Keras 2.
    pub epsilon_under_root: bool,
    /// Whether to normalize gradients by their variance instead of their mean square.
    pub centered: bool,
    /// The weight decay, applied before each step and scaled by the learning rate; none by default.
    pub weight_decay: WeightDecay,
}

impl Default for RMSprop {
    fn default() -> RMSprop {
        RMSprop {
            learning_rate: 0.001.into(),
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
            epsilon_under_root: true,
            centered: false,
            weight_decay: 0.0.into(),
        }
    }
}

impl Optimizer for RMSprop {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    fn weight_decay(&self) -> &WeightDecay {
        &self.weight_decay
    }

    fn slots(&self) -> Vec<Slot> {
        let momentum = (self.momentum != 0.0).then(|| Slot::zero("momentum"));
        let average = self.centered.then(|| Slot::zero("average_gradient"));
        std::iter::once(Slot::zero("velocity")).chain(momentum).chain(average).collect()
    }

    fn op(&self) -> Arc<dyn Op> {
        let RMSprop { rho, centered, .. } = *self;
        let [momentum, epsilon] = [self.momentum, self.epsilon].map(|value| value as f32);
        let (inner, outer) = if self.epsilon_under_root { (epsilon, 0.0) } else { (0.0, epsilon) };
        Arc::new(ops::RmsProp { rho, momentum, inner, outer, centered })
    }
}
