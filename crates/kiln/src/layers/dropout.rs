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
    /// The layer's seed, in addition to the seed of the training: layers with equal seeds drop the same values in a
    /// step. Without it, every layer of a model draws independently. The draws differ from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

impl Dropout {
    /// A layer that drops this share of the values, 0 to 1.
    pub fn new(rate: f64) -> Dropout {
        Dropout { rate, seed: None }
    }

    /// Sets the layer's seed, in addition to the seed of the training.
    pub fn seed(self, seed: u64) -> Dropout {
        Dropout { seed: Some(seed), ..self }
    }
}

impl Layer for Dropout {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match (0.0..=1.0).contains(&self.rate) {
            true => Ok(input.clone()),
            false => Err(BuildError::argument("rate", "0 to 1", self.rate)),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        if !call.training() || self.rate == 0.0 {
            return Ok(call.input());
        }
        let rate = self.rate as f32;
        if rate == 1.0 {
            let shape = call.shape(call.input()).clone();
            return call.add(ops::Fill { value: 0.0, shape }, &[]);
        }
        let stream = self.seed.map_or(call.stream(), |seed| bits(Stream::Layer, [seed, 0, 0]) as u32);
        call.add(ops::Dropout { rate, stream }, &[call.input()])
    }

    fn is_random(&self) -> bool {
        self.rate > 0.0
    }
}

impl Saved for Dropout {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({"noise_shape": null})
    }
}
