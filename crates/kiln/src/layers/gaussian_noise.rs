use kiln_graph::{Result, Shape, Tensor};
use kiln_ops as ops;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dropout::stream;
use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y = x + stddev z` in training, with a normal `z` drawn for each value and each training step; outside of training `y =
/// x`.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussianNoise {
    /// The standard deviation, 0 to 1 as in Keras.
    pub stddev: f64,
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

impl GaussianNoise {
    /// A layer that adds noise with this standard deviation, 0 to 1.
    pub fn new(stddev: f64) -> GaussianNoise {
        GaussianNoise { stddev, seed: None }
    }

    /// Sets the layer's seed, in addition to the seed of the training.
    pub fn seed(self, seed: u64) -> GaussianNoise {
        GaussianNoise { seed: Some(seed), ..self }
    }
}

impl Layer for GaussianNoise {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match (0.0..=1.0).contains(&self.stddev) {
            true => Ok(input.clone()),
            false => Err(BuildError::argument("stddev", "0 to 1", self.stddev)),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        if !call.training() || self.stddev == 0.0 {
            return Ok(call.input());
        }
        let (stddev, stream) = (self.stddev as f32, stream(call, self.seed));
        call.add(ops::GaussianNoise { stddev, stream }, &[call.input()])
    }

    fn is_random(&self) -> bool {
        self.stddev > 0.0
    }
}

impl Saved for GaussianNoise {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}
