use kiln_graph::{Result, Shape, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y = x`. Free of cost.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {}

impl Layer for Identity {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        Ok(input.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        Ok(call.input())
    }
}

impl Saved for Identity {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}
