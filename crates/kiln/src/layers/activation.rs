use kiln_graph::{Result, Shape, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
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
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, Expected> {
        self.activation.output_shape(input.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        self.activation.apply(call, call.input())
    }
}

impl Saved for Activation {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}
