//! Optimizers: how a step changes the parameters, given their gradients.

mod adam;
mod rmsprop;
mod sgd;

use std::fmt::Debug;
use std::sync::Arc;

use kiln_graph::Op;

pub use adam::Adam;
pub use rmsprop::RMSprop;
pub use sgd::SGD;

/// A rule that changes parameters, given their gradients. It sees all variables of a model as one flat tensor.
pub trait Optimizer: Debug + Send + Sync {
    /// Keras' name: `adam`.
    fn name(&self) -> &'static str;

    /// The tensors that the rule keeps from step to step.
    fn slots(&self) -> Vec<Slot>;

    /// The op that takes the gradients and rewrites the parameters and then the slots.
    fn op(&self) -> Arc<dyn Op>;

    /// How far a step goes, before all that depends on the number of steps.
    fn learning_rate(&self) -> f64;

    /// Changes how far the steps from here on go.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// What the op is told of the step after `iterations` steps: its step size, all that depends on the number of steps
    /// included, and what else it needs.
    fn rates(&self, iterations: u64) -> [f32; 4];
}

impl<O: Optimizer + 'static> From<O> for Box<dyn Optimizer> {
    fn from(optimizer: O) -> Box<dyn Optimizer> {
        Box::new(optimizer)
    }
}

/// A tensor that an optimizer keeps from step to step, as large as the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Keras' name: `velocity`.
    pub name: &'static str,
    /// The value of all its elements before the first step.
    pub initial: f32,
}

impl Slot {
    /// A tensor that is zero before the first step.
    pub fn zero(name: &'static str) -> Slot {
        Slot { name, initial: 0.0 }
    }
}
