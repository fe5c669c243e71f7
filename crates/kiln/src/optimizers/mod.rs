//! Optimizers: how a step changes the parameters, given their gradients.

mod learning_rate;
mod parameter_group;
pub mod schedules;
mod weight_decay;

use std::fmt::Debug;
use std::sync::Arc;

use kiln_graph::Op;

use crate::Result;

pub use learning_rate::{LearningRate, Schedule};
pub(crate) use parameter_group::ParameterGroup;
pub use weight_decay::WeightDecay;

/// Declares the optimizers: the file and the struct of each. They convert into `Arc<dyn Optimizer>`; other optimizers
/// do with `Arc::new`.
macro_rules! optimizers {
    ($($file:ident::$Optimizer:ident;)*) => {$(
        mod $file;
        pub use $file::$Optimizer;

        impl From<$Optimizer> for Arc<dyn Optimizer> {
            fn from(optimizer: $Optimizer) -> Arc<dyn Optimizer> {
                Arc::new(optimizer)
            }
        }
    )*};
}

optimizers! {
    adadelta::Adadelta;
    adagrad::Adagrad;
    adam::Adam;
    adamw::AdamW;
    nadam::Nadam;
    rmsprop::RMSprop;
    sgd::SGD;
}

/// A rule that changes parameters, given their gradients. It sees all variables of a model as one flat tensor.
pub trait Optimizer: Debug + Send + Sync {
    /// Keras' name: `adam`.
    fn name(&self) -> &'static str;

    /// The learning rate.
    fn learning_rate(&self) -> &LearningRate;

    /// How parameters decay before each step of the rule: not at all, unless the optimizer says otherwise.
    fn weight_decay(&self) -> &WeightDecay {
        WeightDecay::NONE
    }

    /// Whether the arguments of the rule make sense. Learning rate and weight decay are looked at elsewhere.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) where one does not.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The tensors that the rule keeps from step to step.
    fn slots(&self) -> Vec<Slot>;

    /// The op that takes the gradients and rewrites the parameters and then the slots.
    fn op(&self) -> Arc<dyn Op>;

    /// What the op is told of the step after `iterations` steps, which has this learning rate: by default the learning
    /// rate, else what the rule makes of it, all that depends on the number of steps included.
    fn rates(&self, iterations: u64, learning_rate: f32) -> [f32; 4] {
        let _ = iterations;
        [learning_rate, 0.0, 0.0, 0.0]
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
