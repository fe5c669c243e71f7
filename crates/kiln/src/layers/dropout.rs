use kiln_graph::{Result, Shape, Tensor};
use kiln_ops as ops;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};
use crate::random::{Stream, bits};

/// `y = x / (1 - rate)` with probability `1 - rate`, else 0, drawn for each value and each training step; outside of
/// training `y = x` (Srivastava et al. 2014, inverted as in Keras). A rate of 1 sets all values to 0 in training.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// The share of the values that is dropped, 0 to 1.
    pub rate: f64,
    /// The shape of the draws, with the batch axis, which is `None`: 1 where a draw applies to all values along an axis,
    /// `None` for the input's extent. Without it, each value has its own draw. `[None, Some(1), Some(1), Some(1)]` drops
    /// whole images.
    #[serde(default)]
    pub noise_shape: Option<Vec<Option<usize>>>,
    /// The layer's seed, in addition to the seed of the training: layers with equal seeds drop the same values in a
    /// step. Without it, every layer of a model draws independently. The draws differ from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

impl Dropout {
    /// A layer that drops this share of the values, 0 to 1.
    pub fn new(rate: f64) -> Dropout {
        Dropout { rate, noise_shape: None, seed: None }
    }

    /// Sets the shape of the draws, with the batch axis.
    pub fn noise_shape(self, noise_shape: impl Into<Vec<Option<usize>>>) -> Dropout {
        Dropout { noise_shape: Some(noise_shape.into()), ..self }
    }

    /// Sets the layer's seed, in addition to the seed of the training.
    pub fn seed(self, seed: u64) -> Dropout {
        Dropout { seed: Some(seed), ..self }
    }
}

/// The number of a random layer's draws: that of its seed, if it has one, in place of its own in the model.
pub(super) fn stream(call: &Call<'_>, seed: Option<u64>) -> u32 {
    seed.map_or(call.stream(), |seed| bits(Stream::Layer, [seed, 0, 0]) as u32)
}

/// Drops this share of the input's values in training, drawn for each element of `drawn`: the input's shape, or axes of 1
/// where a draw applies to all values along them.
pub(super) fn drop_values(call: &mut Call<'_>, rate: f64, stream: u32, drawn: Shape) -> Result<Tensor> {
    let (input, rate) = (call.input(), rate as f32);
    if !call.training() || rate == 0.0 {
        return Ok(input);
    }
    let shape = call.shape(input).clone();
    if rate == 1.0 {
        return call.add(ops::Fill { value: 0.0, shape }, &[]);
    }
    if drawn == shape {
        return call.add(ops::Dropout { rate, stream }, &[input]);
    }
    let ones = call.add(ops::Fill { value: 1.0, shape: drawn }, &[])?;
    let factors = call.add(ops::Dropout { rate, stream }, &[ones])?;
    call.add(ops::Binary::Multiply, &[input, factors])
}

impl Layer for Dropout {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(BuildError::argument("rate", "0 to 1", self.rate));
        }
        let Some(noise) = &self.noise_shape else { return Ok(input.clone()) };
        let fits = |(extent, &of_input): (&Option<usize>, &usize)| extent.is_none_or(|n| n == 1 || n == of_input);
        match noise.split_first() {
            Some((None, sample)) if sample.len() == input.len() && sample.iter().zip(input.iter()).all(fits) => {
                Ok(input.clone())
            }
            _ => {
                let expected = format!("null for the batch axis, and null, 1 or its extent for each axis of {input}");
                let shown = noise.iter().map(|extent| extent.map_or("null".to_owned(), |n| n.to_string()));
                let found = format!("[{}]", shown.collect::<Vec<_>>().join(", "));
                Err(BuildError::argument("noise_shape", expected, found))
            }
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let (stream, shape) = (stream(call, self.seed), call.shape(call.input()).clone());
        let drawn: Vec<usize> = match &self.noise_shape {
            Some(noise) => noise.iter().zip(shape.iter()).map(|(drawn, &extent)| drawn.unwrap_or(extent)).collect(),
            None => shape.to_vec(),
        };
        drop_values(call, self.rate, stream, drawn.into())
    }

    fn is_random(&self) -> bool {
        self.rate > 0.0
    }
}

impl Saved for Dropout {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn draws_apply_to_whole_axes_of_a_sample() {
        let checked = |noise: &[Option<usize>]| {
            let layer = Dropout::new(0.5).noise_shape(noise);
            layer.output_shape(&[4, 5, 3].into()).map_err(|error| error.to_string())
        };
        assert_eq!(checked(&[None, Some(1), Some(5), None]), Ok([4, 5, 3].into()));
        let expected =
            "noise_shape: expected null for the batch axis, and null, 1 or its extent for each axis of [4, 5, 3]";
        assert_eq!(checked(&[Some(1), None, None, None]), Err(format!("{expected}, found [1, null, null, null]")));
        assert_eq!(checked(&[None, Some(2), None, None]), Err(format!("{expected}, found [null, 2, null, null]")));
        assert_eq!(checked(&[None, Some(1)]), Err(format!("{expected}, found [null, 1]")));
    }
}
