use kiln_graph::{Result, Shape, Tensor};
use kiln_ops as ops;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y = exp(x) / sum(exp(x))` over the last axis.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// The axis, -1 for the last one, or its index counting the batch as axis 0; only the last axis is supported.
    #[serde(default = "last")]
    axis: i64,
}

impl Softmax {
    /// Softmax over the last axis: the classes.
    pub fn new() -> Softmax {
        Softmax { axis: last() }
    }
}

impl Default for Softmax {
    fn default() -> Softmax {
        Softmax::new()
    }
}

fn last() -> i64 {
    -1
}

impl Layer for Softmax {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match self.axis {
            axis if axis == -1 || axis == input.len() as i64 => Ok(input.clone()),
            axis => Err(BuildError::argument("axis", format!("the last one (-1 or {})", input.len()), axis)),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        call.add(ops::Softmax, &[call.input()])
    }
}

impl Saved for Softmax {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}
