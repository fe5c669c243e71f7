//! Layers that combine several inputs element by element.

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{self as ops, Binary};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// The shape of samples combined element by element: axes of extent 1 are repeated, and missing leading axes are added.
///
/// # Errors
/// If two extents of an axis differ and neither is 1.
pub(super) fn combined_shape(inputs: &[Shape]) -> std::result::Result<Shape, BuildError> {
    let rank = inputs.iter().map(|input| input.len()).max().unwrap_or_default();
    let mut combined = vec![1; rank];
    for input in inputs {
        for (extent, &other) in combined.iter_mut().rev().zip(input.iter().rev()) {
            match (*extent, other) {
                (one, other) if one == other || other == 1 => {}
                (1, other) => *extent = other,
                _ => return Err(BuildError::input("inputs whose axes, from the last one, are equal or 1")),
            }
        }
    }
    Ok(combined.into())
}

/// Combines two tensors, both batches, with the axes of extent 1 of each sample repeated.
///
/// # Errors
/// If an op does not support the tensors.
pub(super) fn combine(call: &mut Call<'_>, function: Binary, [x, y]: [Tensor; 2]) -> Result<Tensor> {
    let rank = call.shape(x).len().max(call.shape(y).len());
    let [x, y] = [with_rank(call, x, rank)?, with_rank(call, y, rank)?];
    match function {
        Binary::Linear { a, b } if call.shape(x) == call.shape(y) => call.add(ops::ScaleAdd { a, b }, &[x, y]),
        Binary::Multiply if call.shape(x) == call.shape(y) => call.add(ops::Multiply, &[x, y]),
        _ => call.add(function, &[x, y]),
    }
}

/// Adds axes of extent 1 behind the batch axis.
fn with_rank(call: &mut Call<'_>, tensor: Tensor, rank: usize) -> Result<Tensor> {
    let shape = call.shape(tensor).clone();
    match shape.split_first() {
        Some((&batch, sample)) if shape.len() < rank => {
            let missing = vec![1; rank - shape.len()];
            call.reshape(tensor, [&[batch], &missing[..], sample].concat())
        }
        _ => Ok(tensor),
    }
}

/// `x + y`
const SUM: Binary = Binary::Linear { a: 1.0, b: 1.0 };

/// Declares a layer for each function of two inputs. With more inputs, it is applied from the first to the last.
macro_rules! merges {
    ($($(#[$doc:meta])* $Layer:ident: $inputs:pat, $expected:literal, $function:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Shapes
            /// In: inputs whose axes, from the last one, are equal or 1. Axes of 1 are repeated. Out: the larger of the
            /// extents of each axis.
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            pub struct $Layer {}

            impl Layer for $Layer {
                saved_layer!();

                fn output_shape(&self, _: &Shape) -> std::result::Result<Shape, BuildError> {
                    Err(BuildError::input(concat!($expected, " inputs")))
                }

                fn merged_shape(&self, inputs: &[Shape]) -> std::result::Result<Shape, BuildError> {
                    match inputs.len() {
                        $inputs => combined_shape(inputs),
                        _ => self.output_shape(&Shape::default()),
                    }
                }

                fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
                    let inputs = call.inputs().to_vec();
                    let function: fn(usize, usize) -> Binary = $function;
                    let mut merged = call.input();
                    for (place, &input) in inputs.iter().enumerate().skip(1) {
                        merged = combine(call, function(place, inputs.len()), [merged, input])?;
                    }
                    Ok(merged)
                }
            }

            impl Saved for $Layer {
                fn fixed() -> Value {
                    json!({})
                }
            }
        )*
    };
}

merges! {
    /// `y = x_1 + x_2 + …`, element by element.
    Add: 1.., "one or more", |_, _| SUM;
    /// `y = (x_1 + … + x_n) / n`, element by element.
    Average: 1.., "one or more", |place, count| match 1.0 / count as f32 {
        share if place + 1 == count => Binary::Linear { a: share, b: share },
        _ => SUM,
    };
    /// `y = max(x_1, x_2, …)`, element by element. The gradient of equal values is that of the first.
    Maximum: 1.., "one or more", |_, _| Binary::Maximum;
    /// `y = min(x_1, x_2, …)`, element by element. The gradient of equal values is that of the first.
    Minimum: 1.., "one or more", |_, _| Binary::Minimum;
    /// `y = x_1 x_2 …`, element by element: `[height, width, channels]` and `[1, 1, channels]` in squeeze and excitation.
    Multiply: 1.., "one or more", |_, _| Binary::Multiply;
    /// `y = x_1 - x_2`, element by element.
    Subtract: 2, "two", |_, _| Binary::Linear { a: 1.0, b: -1.0 };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn merged(layer: &dyn Layer, inputs: &[&[usize]]) -> std::result::Result<Shape, String> {
        let inputs: Vec<Shape> = inputs.iter().map(|&input| Shape::from(input)).collect();
        layer.merged_shape(&inputs).map_err(|error| error.to_string())
    }

    #[test]
    fn axes_of_1_are_repeated_and_missing_ones_are_added() {
        assert_eq!(merged(&Multiply {}, &[&[7, 5, 3], &[1, 1, 3]]), Ok([7, 5, 3].into()));
        assert_eq!(merged(&Add {}, &[&[1, 5, 1], &[3], &[7, 1, 1]]), Ok([7, 5, 3].into()));
        assert_eq!(merged(&Maximum {}, &[&[], &[4]]), Ok([4].into()));
    }

    #[test]
    fn inputs_that_do_not_fit_say_what_is_expected() {
        let axes = "expected inputs whose axes, from the last one, are equal or 1";
        assert_eq!(merged(&Average {}, &[&[7, 3], &[7, 4]]), Err(axes.to_owned()));
        assert_eq!(merged(&Subtract {}, &[&[3], &[3], &[3]]), Err("expected two inputs".to_owned()));
        assert_eq!(merged(&Minimum {}, &[]), Err("expected one or more inputs".to_owned()));
        assert_eq!(merged(&Minimum {}, &[&[3]]), Ok([3].into()));
        assert_eq!(Add {}.output_shape(&[3].into()).unwrap_err().to_string(), "expected one or more inputs");
    }
}
