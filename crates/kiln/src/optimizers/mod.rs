//! Optimizers, which update parameters with their gradients.

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

/// Declares the optimizers: the module and the struct of each. They convert into `Arc<dyn Optimizer>`; custom
/// optimizers use `Arc::new`.
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

/// A rule that updates parameters with their gradients. All variables of a model are one flat tensor.
pub trait Optimizer: Debug + Send + Sync {
    /// Keras' name: `adam`.
    fn name(&self) -> &'static str;

    /// The learning rate.
    fn learning_rate(&self) -> &LearningRate;

    /// The weight decay before each step; by default none.
    fn weight_decay(&self) -> &WeightDecay {
        WeightDecay::NONE
    }

    /// Validates the arguments of the rule. Learning rate and weight decay are validated elsewhere.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if an argument is invalid.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The state tensors of the rule.
    fn slots(&self) -> Vec<Slot>;

    /// The op with the gradients as input, which updates the parameters and then the slots.
    fn op(&self) -> Arc<dyn Op>;

    /// The op's rates for step `iterations` (counted from 0) with this learning rate, including all terms that depend
    /// on the number of steps. By default the first is the learning rate.
    fn rates(&self, iterations: u64, learning_rate: f32) -> [f32; 4] {
        let _ = iterations;
        [learning_rate, 0.0, 0.0, 0.0]
    }
}

/// A state tensor of an optimizer, of the size of the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Keras' name: `velocity`.
    pub name: &'static str,
    /// The initial value of all its elements.
    pub initial: f32,
}

impl Slot {
    /// A tensor initialised to zero.
    pub fn zero(name: &'static str) -> Slot {
        Slot { name, initial: 0.0 }
    }
}
