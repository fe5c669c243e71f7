use kiln_graph::{Result, Shape, Tensor};
use kiln_ops as ops;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// Concatenates the inputs along the last axis, in order.
///
/// # Shapes
/// In: one or more inputs, equal except for the last axis. Out: the same, with the sum of their last axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concatenate {
    /// The axis, -1 for the last one, or its index counting the batch as axis 0; only the last axis is supported.
    #[serde(default = "last")]
    axis: i64,
}

impl Concatenate {
    /// Concatenates along the last axis: an image's channels.
    pub fn new() -> Concatenate {
        Concatenate { axis: last() }
    }
}

fn last() -> i64 {
    -1
}

impl Default for Concatenate {
    fn default() -> Concatenate {
        Concatenate::new()
    }
}

impl Layer for Concatenate {
    saved_layer!();

    fn output_shape(&self, _: &Shape) -> std::result::Result<Shape, BuildError> {
        Err(BuildError::input("one or more inputs that are equal but for the last axis"))
    }

    fn merged_shape(&self, inputs: &[Shape]) -> std::result::Result<Shape, BuildError> {
        let parts: Option<Vec<(&usize, &[usize])>> = inputs.iter().map(|input| input.split_last()).collect();
        let parts = parts.filter(|parts| !parts.is_empty() && parts.iter().all(|part| part.1 == parts[0].1));
        let Some(parts) = parts else { return self.output_shape(&Shape::default()) };
        if self.axis != -1 && self.axis != inputs[0].len() as i64 {
            let expected = format!("the last one (-1 or {})", inputs[0].len());
            return Err(BuildError::argument("axis", expected, self.axis));
        }
        let channels = parts.iter().map(|part| part.0).sum();
        Ok(Shape::from([parts[0].1, &[channels]].concat()))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        match call.inputs().to_vec()[..] {
            [only] => Ok(only),
            ref inputs => call.add(ops::Concatenate, inputs),
        }
    }
}

impl Saved for Concatenate {
    fn fixed() -> Value {
        json!({})
    }
}
