//! Activation functions, as the `activation` of a layer or as a layer of their own.

use std::fmt;
use std::str::FromStr;

use kiln_graph::Tensor;
use kiln_ops::{Activation, Function, Softmax};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::layers::Call;

/// A function that a layer applies to what it computed, by Keras' names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ActivationFunction {
    /// `y = x`, written `linear`.
    #[default]
    Linear,
    /// `y = exp(x) / sum(exp(x))` over the last axis, written `softmax`.
    Softmax,
    /// A function of each value by itself: `relu`, `sigmoid`, `tanh`, …
    Elementwise(Function),
}

impl ActivationFunction {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            ActivationFunction::Linear => "linear",
            ActivationFunction::Softmax => "softmax",
            ActivationFunction::Elementwise(function) => function.name(),
        }
    }

    pub(crate) fn apply(self, call: &mut Call<'_>, x: Tensor) -> kiln_graph::Result<Tensor> {
        match self {
            ActivationFunction::Linear => Ok(x),
            ActivationFunction::Softmax => call.add(Softmax, &[x]),
            ActivationFunction::Elementwise(function) => call.add(Activation { function }, &[x]),
        }
    }
}

impl From<Function> for ActivationFunction {
    fn from(function: Function) -> ActivationFunction {
        ActivationFunction::Elementwise(function)
    }
}

impl fmt::Display for ActivationFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ActivationFunction {
    type Err = UnknownActivation;

    fn from_str(name: &str) -> Result<ActivationFunction, UnknownActivation> {
        match name {
            "linear" => Ok(ActivationFunction::Linear),
            "softmax" => Ok(ActivationFunction::Softmax),
            "silu" => Ok(Function::Swish.into()), // what Keras 3 calls swish in files
            _ => Function::from_name(name).map(Into::into).ok_or_else(|| UnknownActivation(name.to_owned())),
        }
    }
}

/// No activation function has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an activation function (linear, softmax, relu, sigmoid, tanh, …), found `{0}`")]
pub struct UnknownActivation(pub String);

impl Serialize for ActivationFunction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ActivationFunction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ActivationFunction, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_keras_names() {
        for name in ["linear", "softmax", "relu", "sigmoid", "tanh", "elu", "leaky_relu", "softplus", "selu", "gelu"] {
            assert_eq!(name.parse().map(ActivationFunction::name), Ok(name));
        }
        assert_eq!("silu".parse(), Ok(ActivationFunction::Elementwise(Function::Swish)));
        assert_eq!("reluu".parse::<ActivationFunction>(), Err(UnknownActivation("reluu".to_owned())));
    }
}
