use kiln_graph::{Result, Shape, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dropout::{drop_values, stream};
use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// Dropout of whole channels of an image (Tompson et al. 2015): `y = x / (1 - rate)` with probability `1 - rate`, else 0,
/// drawn for each channel of each sample and each training step; outside of training `y = x`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpatialDropout2D {
    /// The share of the channels that is dropped, 0 to 1.
    pub rate: f64,
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

impl SpatialDropout2D {
    /// A layer that drops this share of the channels, 0 to 1.
    pub fn new(rate: f64) -> SpatialDropout2D {
        SpatialDropout2D { rate, seed: None }
    }

    /// Sets the layer's seed, in addition to the seed of the training.
    pub fn seed(self, seed: u64) -> SpatialDropout2D {
        SpatialDropout2D { seed: Some(seed), ..self }
    }
}

impl Layer for SpatialDropout2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match (input.len(), (0.0..=1.0).contains(&self.rate)) {
            (_, false) => Err(BuildError::argument("rate", "0 to 1", self.rate)),
            (3, true) => Ok(input.clone()),
            (_, true) => Err(BuildError::input("an input [height, width, channels]")),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let [batch, _, _, channels] = call.shape(call.input()).dims().unwrap_or_default();
        let stream = stream(call, self.seed);
        drop_values(call, self.rate, stream, [batch, 1, 1, channels].into())
    }

    fn is_random(&self) -> bool {
        self.rate > 0.0
    }
}

impl Saved for SpatialDropout2D {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}
