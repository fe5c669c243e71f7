//! Activation functions, as the `activation` of a layer or as a layer.

use std::fmt;
use std::str::FromStr;

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{self as ops, Function};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::saved::Saved;
use super::{BuildError, Call, ELU, Layer, LeakyReLU, ReLU, Softmax, read_as, split_config};
use crate::UnknownName;
use crate::keras_object::{KerasObject, Package, shown};

/// An activation function, with Keras' names: the `activation` of a layer,
/// `Dense::new(10).activation(Activation::Relu)`, or a layer, `model.add(Activation::Relu)`.
///
/// The layers [`ReLU`], [`LeakyReLU`] and [`ELU`] convert to it with their options:
/// `Dense::new(10).activation(LeakyReLU::new(0.1))`.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `x`
    #[default]
    Linear,
    /// `exp(x) / sum(exp(x))` over the last axis
    Softmax,
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `x` for `x > 0`, else `exp(x) - 1`
    Elu,
    /// `x` for `x > 0`, else `0.2 x`
    LeakyRelu,
    /// `log(1 + exp(x))`
    Softplus,
    /// `1.0507 x` for `x > 0`, else `1.0507 * 1.6733 (exp(x) - 1)`
    Selu,
    /// `x/2 (1 + erf(x / sqrt 2))`
    Gelu,
    /// `x / (1 + exp(-x))`, also `silu` in Keras 3
    Swish,
    /// `x` for `x > 0`, else `exp(x) - 1`: `celu` with its `alpha` of 1
    Celu,
    /// `exp(x)`
    Exponential,
    /// `x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`: `gelu` with `approximate=True`. Files have it as the operation
    /// `Gelu`, which Keras reads, too: it has no name of its own.
    GeluTanh,
    /// `x` for `|x| > 0.5`, else 0
    HardShrink,
    /// `min(max(x + 3, 0), 6) / 6`
    HardSigmoid,
    /// `x min(max(x + 3, 0), 6) / 6`, also `hard_swish`
    HardSilu,
    /// `min(max(x, -1), 1)`
    HardTanh,
    /// `-log(1 + exp(-x))`
    LogSigmoid,
    /// `x - log(sum(exp(x)))`, the sum over the last axis
    LogSoftmax,
    /// `x tanh(log(1 + exp(x)))`
    Mish,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x - 0.5` for `x > 0.5`, `x + 0.5` for `x < -0.5`, else 0
    SoftShrink,
    /// `x / (1 + |x|)`
    Softsign,
    /// 0 for `x <= -1`, `x` for `x >= 1`, else `(x + 1)² / 4`
    SparsePlus,
    /// 0 for `x <= -1`, 1 for `x >= 1`, else `(x + 1) / 2`
    SparseSigmoid,
    /// `(x + sqrt(x² + 4)) / 2`
    Squareplus,
    /// `x - tanh(x)`
    TanhShrink,
    /// The layer [`ReLU`] with its options.
    ReLULayer(ReLU),
    /// The layer [`LeakyReLU`] with its slope.
    LeakyReLULayer(LeakyReLU),
    /// The layer [`ELU`] with its scale.
    ELULayer(ELU),
}

/// Keras' operation that is an activation function with an option.
const GELU: &str = "Gelu";

impl Activation {
    /// Keras' name; for a layer, its class.
    pub fn name(self) -> &'static str {
        match (self, self.layer(), self.elementwise()) {
            (Activation::Softmax, ..) => "softmax",
            (Activation::LogSoftmax, ..) => "log_softmax",
            (Activation::Swish, ..) => "silu",
            (_, Some(layer), _) => layer.class_name(),
            (_, _, Some(function)) => function.name(),
            _ => "linear",
        }
    }

    /// The elementwise op of the function, if it has no options.
    fn elementwise(self) -> Option<Function> {
        Function::ALL.into_iter().find(|&function| Activation::from(function) == self)
    }

    fn layer(&self) -> Option<&dyn Layer> {
        match self {
            Activation::ReLULayer(layer) => Some(layer),
            Activation::LeakyReLULayer(layer) => Some(layer),
            Activation::ELULayer(layer) => Some(layer),
            _ => None,
        }
    }

    pub(crate) fn apply(self, call: &mut Call<'_>, x: Tensor) -> Result<Tensor> {
        match (self, self.elementwise()) {
            (Activation::Softmax, _) => call.add(ops::Softmax, &[x]),
            (Activation::LogSoftmax, _) => call.add(ops::LogSoftmax, &[x]),
            (Activation::ReLULayer(layer), _) => layer.apply(call, x),
            (Activation::LeakyReLULayer(layer), _) => layer.apply(call, x),
            (Activation::ELULayer(layer), _) => layer.apply(call, x),
            (_, Some(function)) => call.add(ops::Activation { function }, &[x]),
            (_, None) => Ok(x),
        }
    }

    /// Reads Keras' format: a function's name, a layer as an object, or null for `linear`.
    fn read(json: &Value) -> std::result::Result<Activation, String> {
        match json {
            Value::Null => Ok(Activation::Linear),
            Value::String(name) => name.parse().map_err(|unknown: UnknownName| unknown.to_string()),
            Value::Object(members) if members.get("class_name").is_some_and(|class| class == GELU) => {
                let object = KerasObject::read(json, Package::Ops, &[])?;
                match object.config.get("approximate") {
                    None | Some(Value::Bool(true)) => Ok(Activation::GeluTanh),
                    Some(Value::Bool(false)) => Ok(Activation::Gelu),
                    Some(found) => Err(format!("{GELU}: approximate: expected true or false, found {}", shown(found))),
                }
            }
            Value::Object(_) => {
                let object = KerasObject::read(json, Package::Layers, &[])?;
                let in_class = |problem: String| format!("{}: {problem}", object.class);
                let (_, config) = split_config(object).map_err(in_class)?;
                Activation::of_layer(object.class, &config).map_err(in_class)
            }
            _ => Err(format!("expected a function's name or a layer, found {}", shown(json))),
        }
    }

    fn of_layer(class: &str, config: &Map<String, Value>) -> std::result::Result<Activation, String> {
        Ok(match class {
            "ReLU" => Activation::ReLULayer(read_as(config)?),
            "LeakyReLU" => Activation::LeakyReLULayer(read_as(config)?),
            "ELU" => Activation::ELULayer(read_as(config)?),
            "Activation" => read_as(config)?,
            "Softmax" if read_as::<Softmax>(config)? == Softmax::new() => Activation::Softmax,
            "Softmax" => return Err("expected the last axis, -1".to_owned()),
            _ => return Err("expected a layer ReLU, LeakyReLU, ELU, Softmax or Activation".to_owned()),
        })
    }
}

impl Layer for Activation {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match self.layer() {
            Some(layer) => layer.output_shape(input),
            None => Ok(input.clone()),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        self.apply(call, call.input())
    }
}

/// The arguments of the layer.
#[derive(Deserialize)]
struct Arguments {
    activation: Activation,
}

impl Saved for Activation {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }

    fn arguments(&self) -> Value {
        json!({"activation": self})
    }

    fn of_arguments(
        arguments: Value,
    ) -> std::result::Result<Activation, serde_path_to_error::Error<serde_json::Error>> {
        serde_path_to_error::deserialize(arguments).map(|Arguments { activation }| activation)
    }
}

impl From<Function> for Activation {
    fn from(function: Function) -> Activation {
        match function {
            Function::Relu => Activation::Relu,
            Function::Sigmoid => Activation::Sigmoid,
            Function::Tanh => Activation::Tanh,
            Function::Elu => Activation::Elu,
            Function::LeakyRelu => Activation::LeakyRelu,
            Function::Softplus => Activation::Softplus,
            Function::Selu => Activation::Selu,
            Function::Gelu => Activation::Gelu,
            Function::Swish => Activation::Swish,
            Function::Celu => Activation::Celu,
            Function::Exponential => Activation::Exponential,
            Function::GeluTanh => Activation::GeluTanh,
            Function::HardShrink => Activation::HardShrink,
            Function::HardSigmoid => Activation::HardSigmoid,
            Function::HardSilu => Activation::HardSilu,
            Function::HardTanh => Activation::HardTanh,
            Function::LogSigmoid => Activation::LogSigmoid,
            Function::Mish => Activation::Mish,
            Function::Relu6 => Activation::Relu6,
            Function::SoftShrink => Activation::SoftShrink,
            Function::Softsign => Activation::Softsign,
            Function::SparsePlus => Activation::SparsePlus,
            Function::SparseSigmoid => Activation::SparseSigmoid,
            Function::Squareplus => Activation::Squareplus,
            Function::TanhShrink => Activation::TanhShrink,
        }
    }
}

impl From<ReLU> for Activation {
    fn from(layer: ReLU) -> Activation {
        Activation::ReLULayer(layer)
    }
}

impl From<LeakyReLU> for Activation {
    fn from(layer: LeakyReLU) -> Activation {
        Activation::LeakyReLULayer(layer)
    }
}

impl From<ELU> for Activation {
    fn from(layer: ELU) -> Activation {
        Activation::ELULayer(layer)
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = UnknownName;

    /// The function of Keras' name.
    fn from_str(name: &str) -> std::result::Result<Activation, UnknownName> {
        match name {
            "linear" => Ok(Activation::Linear),
            "softmax" => Ok(Activation::Softmax),
            "log_softmax" => Ok(Activation::LogSoftmax),
            _ => {
                // Keras has no name for approximate GELU.
                let is_named = |function: &Function| *function != Function::GeluTanh;
                Function::from_name(name).filter(is_named).map(Into::into).ok_or_else(|| {
                    let functions = Function::ALL.into_iter().filter(is_named).map(Function::name);
                    let known: Vec<&str> = ["linear", "softmax", "log_softmax"].into_iter().chain(functions).collect();
                    UnknownName::new(&known, name)
                })
            }
        }
    }
}

impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let object = match (self, self.layer()) {
            (Activation::GeluTanh, _) => json!({
                "module": "keras.src.ops.nn",
                "class_name": GELU,
                "config": {"approximate": true},
                "registered_name": GELU,
            }),
            (_, Some(layer)) => json!({
                "module": layer.module(),
                "class_name": layer.class_name(),
                "config": layer.config(),
                "registered_name": null,
            }),
            _ => return serializer.serialize_str(self.name()),
        };
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Activation, D::Error> {
        Activation::read(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::layers::Registry;

    #[test]
    fn layers_are_functions_with_options() {
        let read = |json: Value| serde_json::from_value(json).map_err(|error| error.to_string());
        let functions: [Activation; 3] =
            [ReLU::new().max_value(6.0).into(), LeakyReLU::new(0.1).into(), ELU::new(0.5).into()];
        for function in functions {
            assert_eq!(read(serde_json::to_value(function).unwrap()), Ok(function));
        }
        // In the format of Keras 2.
        let keras2 = json!({"name": "leaky", "trainable": true, "dtype": "float32", "alpha": 0.25});
        let keras2 = json!({"class_name": "LeakyReLU", "config": keras2, "build_config": {"input_shape": [null, 2]}});
        assert_eq!(read(keras2), Ok(LeakyReLU::new(0.25).into()));
        let softmax = json!({"class_name": "Softmax", "config": {"axis": -1}});
        assert_eq!(read(softmax), Ok(Activation::Softmax));
        let activation = json!({"class_name": "Activation", "config": {"activation": "tanh"}});
        assert_eq!(read(activation), Ok(Activation::Tanh));
        assert_eq!(read(Value::Null), Ok(Activation::Linear));
        assert_eq!(read(serde_json::to_value(Activation::GeluTanh).unwrap()), Ok(Activation::GeluTanh));
        let gelu = |approximate: Value| json!({"class_name": "Gelu", "config": {"approximate": approximate}});
        assert_eq!(read(gelu(json!(false))), Ok(Activation::Gelu));
        let wrong = read(gelu(json!(1))).unwrap_err();
        assert_eq!(wrong, "Gelu: approximate: expected true or false, found 1");
    }

    #[test]
    fn a_function_is_a_layer_with_itself_as_argument() {
        let read = |config: Value| Registry::default().read("Activation", config.as_object().unwrap());
        for function in [Activation::Softmax, Activation::Relu, LeakyReLU::new(0.1).into()] {
            let config = Layer::config(&function);
            assert_eq!(config["activation"], serde_json::to_value(function).unwrap());
            assert_eq!(format!("{:?}", read(config.into()).unwrap()), format!("{function:?}"));
        }
        let unknown = read(json!({"activation": "relu", "slope": 1})).unwrap_err();
        assert_eq!(unknown, "slope: Kiln does not know this argument, found 1");
    }

    #[test]
    fn an_object_that_is_no_function_says_why() {
        let error = |json: Value| Activation::read(&json).unwrap_err();
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
            assert_eq!(name.parse().map(Activation::name), Ok(name));
        }
        for function in Function::ALL {
            assert_eq!(Activation::from(function).elementwise(), Some(function));
            let named = Some(Activation::from(function)).filter(|_| function != Function::GeluTanh);
            assert_eq!(function.name().parse().ok(), named);
        }
        assert_eq!("silu".parse(), Ok(Activation::Swish));
        assert_eq!("hard_swish".parse(), Ok(Activation::HardSilu));
        let unknown = "reluu".parse::<Activation>().unwrap_err().to_string();
        assert!(
            unknown.starts_with("expected one of linear, softmax, log_softmax, relu, ")
                && unknown.ends_with("; found `reluu`")
        );
    }
}
