use kiln_graph::{Result, Shape, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::saved::{Saved, to_config};
use super::{ActivationFunction, Call, Expected, Layer};

/// `y = f(x)`.
///
/// # Shapes
/// Any; the same out as in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// Which function `f` is.
    pub activation: ActivationFunction,
}

impl Activation {
    /// A layer that applies this function: `Activation::new(Function::Relu)`.
    pub fn new(activation: impl Into<ActivationFunction>) -> Activation {
        Activation { activation: activation.into() }
    }
}

impl Layer for Activation {
    fn class_name(&self) -> &'static str {
        Self::CLASS_NAME
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, Expected> {
        self.activation.output_shape(input.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        self.activation.apply(call, call.input())
    }

    fn config(&self) -> Map<String, Value> {
        to_config(self)
    }

    fn has_build_config(&self) -> bool {
        false
    }
}

impl Saved for Activation {
    const CLASS_NAME: &'static str = "Activation";

    fn fixed() -> Value {
        json!({})
    }
}
