use kiln_graph::{Result, Shape, Tensor};
use kiln_ops as ops;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer, axes};

/// `y = exp(x) / sum(exp(x))` over one axis or several, by default the last one.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// The axes of the sum: -1 for the last one, or indices that count the batch as axis 0.
    #[serde(default = "last", deserialize_with = "axes::read", serialize_with = "axes::write")]
    pub axis: Vec<i64>,
}

impl Softmax {
    /// Softmax over the last axis: the classes.
    pub fn new() -> Softmax {
        Softmax { axis: last() }
    }

    /// Sets the axes of the sum: -1 for the last one, or indices that count the batch as axis 0.
    pub fn axis(self, axis: impl Into<Vec<i64>>) -> Softmax {
        Softmax { axis: axis.into() }
    }

    /// The axes of a sample, counting the batch as axis 0.
    fn places(&self, input: &Shape) -> std::result::Result<Vec<usize>, BuildError> {
        axes::places("axis", &self.axis, input)
    }
}

impl Default for Softmax {
    fn default() -> Softmax {
        Softmax::new()
    }
}

fn last() -> Vec<i64> {
    vec![-1]
}

impl Layer for Softmax {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match self.places(input)?.is_empty() {
            true => Err(BuildError::argument("axis", "at least one axis", "none")),
            false => Ok(input.clone()),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let sample = call.shape(call.input()).sample();
        match self.places(&sample).unwrap_or_default() {
            // Losses know a softmax that is the last op.
            places if places == [sample.len()] => call.add(ops::Softmax, &[call.input()]),
            places => axes::along(call, &places, |call, matrix| call.add(ops::Softmax, &[matrix])),
        }
    }
}

impl Saved for Softmax {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}
