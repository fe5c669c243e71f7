//! Activation functions, as the `activation` of a layer or as a layer of their own.

use std::fmt;
use std::str::FromStr;

use kiln_graph::{Shape, Tensor};
use kiln_ops::{Activation, Function, Softmax};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::keras_object::{KerasObject, Package, shown};
use crate::layers::{self, Call, ELU, Expected, Layer, LeakyReLU, ReLU, read_as, split_config};

/// A function that a layer applies to what it computed, by Keras' names, or a layer without variables that it ends with.
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
    /// The layer [`ReLU`], for its options.
    ReLU(ReLU),
    /// The layer [`LeakyReLU`], for its slope.
    LeakyReLU(LeakyReLU),
    /// The layer [`ELU`], for its scale.
    ELU(ELU),
}

impl ActivationFunction {
    /// Keras' name; a layer's is that of its class.
    pub fn name(self) -> &'static str {
        match self {
            ActivationFunction::Linear => "linear",
            ActivationFunction::Softmax => "softmax",
            ActivationFunction::Elementwise(function) => function.name(),
            _ => self.layer().map_or("", |layer| layer.class_name()),
        }
    }

    fn layer(&self) -> Option<&dyn Layer> {
        match self {
            ActivationFunction::ReLU(layer) => Some(layer),
            ActivationFunction::LeakyReLU(layer) => Some(layer),
            ActivationFunction::ELU(layer) => Some(layer),
            _ => None,
        }
    }

    /// The shape itself, if the function takes such samples.
    pub(crate) fn output_shape(self, input: Shape) -> Result<Shape, Expected> {
        match self.layer() {
            Some(layer) => layer.output_shape(&input),
            None => Ok(input),
        }
    }

    pub(crate) fn apply(self, call: &mut Call<'_>, x: Tensor) -> kiln_graph::Result<Tensor> {
        match self {
            ActivationFunction::Linear => Ok(x),
            ActivationFunction::Softmax => call.add(Softmax, &[x]),
            ActivationFunction::Elementwise(function) => call.add(Activation { function }, &[x]),
            ActivationFunction::ReLU(layer) => layer.apply(call, x),
            ActivationFunction::LeakyReLU(layer) => layer.apply(call, x),
            ActivationFunction::ELU(layer) => layer.apply(call, x),
        }
    }

    /// What Keras writes: a function's name, a layer as an object, or nothing for `linear`.
    fn read(json: &Value) -> Result<ActivationFunction, String> {
        match json {
            Value::Null => Ok(ActivationFunction::Linear),
            Value::String(name) => name.parse().map_err(|unknown: UnknownActivation| unknown.to_string()),
            Value::Object(_) => {
                let object = KerasObject::read(json, Package::Layers, &[])?;
                let in_class = |problem: String| format!("{}: {problem}", object.class);
                let (_, config) = split_config(object).map_err(in_class)?;
                ActivationFunction::of_layer(object.class, &config).map_err(in_class)
            }
            _ => Err(format!("expected a function's name or a layer, found {}", shown(json))),
        }
    }

    fn of_layer(class: &str, config: &Map<String, Value>) -> Result<ActivationFunction, String> {
        Ok(match class {
            "ReLU" => ActivationFunction::ReLU(read_as(config)?),
            "LeakyReLU" => ActivationFunction::LeakyReLU(read_as(config)?),
            "ELU" => ActivationFunction::ELU(read_as(config)?),
            "Activation" => read_as::<layers::Activation>(config)?.activation,
            "Softmax" if read_as::<layers::Softmax>(config)? == layers::Softmax::new() => ActivationFunction::Softmax,
            "Softmax" => return Err("expected the last axis, -1".to_owned()),
            _ => return Err("expected a layer ReLU, LeakyReLU, ELU, Softmax or Activation".to_owned()),
        })
    }
}

impl From<ReLU> for ActivationFunction {
    fn from(layer: ReLU) -> ActivationFunction {
        ActivationFunction::ReLU(layer)
    }
}

impl From<LeakyReLU> for ActivationFunction {
    fn from(layer: LeakyReLU) -> ActivationFunction {
        ActivationFunction::LeakyReLU(layer)
    }
}

impl From<ELU> for ActivationFunction {
    fn from(layer: ELU) -> ActivationFunction {
        ActivationFunction::ELU(layer)
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
        let Some(layer) = self.layer() else { return serializer.serialize_str(self.name()) };
        let object = json!({
            "module": "keras.layers",
            "class_name": layer.class_name(),
            "config": layer.config(),
            "registered_name": null,
        });
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ActivationFunction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ActivationFunction, D::Error> {
        ActivationFunction::read(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn layers_are_functions_with_options() {
        let read = |json: Value| serde_json::from_value(json).map_err(|error| error.to_string());
        let functions: [ActivationFunction; 3] =
            [ReLU::new().max_value(6.0).into(), LeakyReLU::new(0.1).into(), ELU::new(0.5).into()];
        for function in functions {
            assert_eq!(read(serde_json::to_value(function).unwrap()), Ok(function));
        }
        // As Keras 2 writes it.
        let keras2 = json!({"name": "leaky", "trainable": true, "dtype": "float32", "alpha": 0.25});
        let keras2 = json!({"class_name": "LeakyReLU", "config": keras2, "build_config": {"input_shape": [null, 2]}});
        assert_eq!(read(keras2), Ok(LeakyReLU::new(0.25).into()));
        let softmax = json!({"class_name": "Softmax", "config": {"axis": -1}});
        assert_eq!(read(softmax), Ok(ActivationFunction::Softmax));
        let activation = json!({"class_name": "Activation", "config": {"activation": "tanh"}});
        assert_eq!(read(activation), Ok(Function::Tanh.into()));
        assert_eq!(read(Value::Null), Ok(ActivationFunction::Linear));
    }

    #[test]
    fn an_object_that_is_no_function_says_why() {
        let error = |json: Value| ActivationFunction::read(&json).unwrap_err();
        let dense = json!({"class_name": "Dense", "config": {"units": 3}});
        assert_eq!(error(dense), "Dense: expected a layer ReLU, LeakyReLU, ELU, Softmax or Activation");
        let slope = json!({"class_name": "LeakyReLU", "config": {"negative_slope": "steep"}});
        let found = error(slope);
        assert!(found.starts_with("LeakyReLU: negative_slope: invalid type: string \"steep\""), "{found}");
        let function = json!({"module": "builtins", "class_name": "function", "config": "mine"});
        assert!(error(function).starts_with("module: expected keras.layers"));
        assert_eq!(error(json!(7)), "expected a function's name or a layer, found 7");
    }

    #[test]
    fn functions_are_found_by_keras_names() {
        for name in ["linear", "softmax", "relu", "sigmoid", "tanh", "elu", "leaky_relu", "softplus", "selu", "gelu"] {
            assert_eq!(name.parse().map(ActivationFunction::name), Ok(name));
        }
        assert_eq!("silu".parse(), Ok(ActivationFunction::Elementwise(Function::Swish)));
        assert_eq!("reluu".parse::<ActivationFunction>(), Err(UnknownActivation("reluu".to_owned())));
    }
}
