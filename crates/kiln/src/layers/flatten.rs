use kiln_graph::{Result, Shape, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// Flattens a sample to one axis, in the order height, width, channels. Free of cost.
///
/// # Shapes
/// In: any. Out: `[elements]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "NoArguments", into = "NoArguments")]
pub struct Flatten;

/// The arguments of a layer without any: an empty object.
#[derive(Serialize, Deserialize)]
struct NoArguments {}

impl From<NoArguments> for Flatten {
    fn from(_: NoArguments) -> Flatten {
        Flatten
    }
}

impl From<Flatten> for NoArguments {
    fn from(_: Flatten) -> NoArguments {
        NoArguments {}
    }
}

impl Layer for Flatten {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        Ok(Shape::from([input.elements()]))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let shape = call.shape(call.input());
        let [batch, ref sample @ ..] = **shape else { return Ok(call.input()) };
        let flat = [batch, sample.iter().product()];
        call.reshape(call.input(), flat)
    }
}

impl Saved for Flatten {
    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}
