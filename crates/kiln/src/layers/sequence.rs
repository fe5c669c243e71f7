//! What layers of sequences share: a sequence is an image with one column.

use kiln_graph::{Result, Shape, Tensor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{BuildError, Call};
use crate::keras_object::shown;

/// Reads a length: a number, or a list of one number.
pub(super) fn length<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[usize; 1], D::Error> {
    let value = Value::deserialize(deserializer)?;
    let single = value.as_array().filter(|list| list.len() == 1).map_or(&value, |list| &list[0]);
    let number = single.as_u64().and_then(|number| usize::try_from(number).ok());
    let expected = || serde::de::Error::custom(format!("expected a number or a list of one, found {}", shown(&value)));
    number.map(|number| [number]).ok_or_else(expected)
}

/// The extents of a sample `[steps, channels]` as an image.
pub(super) fn image(input: &Shape) -> std::result::Result<[usize; 3], BuildError> {
    match input.dims() {
        Some([steps, channels]) => Ok([steps, 1, channels]),
        None => Err(BuildError::input("an input [steps, channels]")),
    }
}

/// Images with one column as sequences; other tensors as they are.
pub(super) fn of_image(call: &mut Call<'_>, y: Tensor) -> Result<Tensor> {
    match call.shape(y).dims() {
        Some([batch, steps, _, channels]) => call.reshape(y, [batch, steps, channels]),
        None => Ok(y),
    }
}
