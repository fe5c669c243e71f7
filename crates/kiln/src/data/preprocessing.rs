//! What backbones expect of photographs: Keras' `preprocess_input`.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, Features, Standardization};

/// How values from 0 to 255, red, green and blue, become what a network was trained with: Keras' modes of
/// `preprocess_input` (`keras/src/applications/imagenet_utils.py`). A network sees nonsense in another mode, and no error
/// tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocessing {
    /// Blue, green and red, minus the means of ImageNet `[103.939, 116.779, 123.68]`: VGG16 with Keras' weights.
    Caffe,
    /// `x / 127.5 - 1`: InceptionV3 with Keras' weights, and with those of torchvision, which were made by TensorFlow.
    Tf,
    /// `(x / 255 - mean) / std` with the means `[0.485, 0.456, 0.406]` and standard deviations `[0.229, 0.224, 0.225]` of
    /// ImageNet: networks that PyTorch trained, like torchvision's VGG16.
    Torch,
}

impl Preprocessing {
    /// All of them.
    pub const ALL: [Preprocessing; 3] = [Preprocessing::Caffe, Preprocessing::Tf, Preprocessing::Torch];

    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Preprocessing::Caffe => "caffe",
            Preprocessing::Tf => "tf",
            Preprocessing::Torch => "torch",
        }
    }
}

impl FromStr for Preprocessing {
    type Err = String;

    /// The mode of Keras' name.
    fn from_str(name: &str) -> Result<Preprocessing, String> {
        Preprocessing::ALL.into_iter().find(|mode| mode.name() == name).ok_or_else(|| {
            let names = Preprocessing::ALL.map(Preprocessing::name).join(", ");
            format!("expected one of {names}; found `{name}`")
        })
    }
}

impl Dataset {
    /// The same images, whose values are 0 to 255, as a backbone expects them, whatever rule was there before. Nothing is
    /// computed here but the order of the channels; the device does the rest, batch by batch.
    ///
    /// # Errors
    /// When samples do not have three channels.
    pub fn preprocess_input(self, preprocessing: Preprocessing) -> Result<Dataset, DataError> {
        let shape = self.sample_shape().clone();
        if shape.len() != 3 || shape[2] != 3 {
            return Err(DataError::NotRgb { shape });
        }
        let features = |mean, divisor| {
            let features = Features::of_channels(mean, divisor, shape.elements());
            Standardization { samples: None, features: Some(Arc::new(features)) }
        };
        let plain = Standardization::default();
        Ok(match preprocessing {
            Preprocessing::Tf => self.rescaled(1.0 / 127.5, -1.0).standardized(plain),
            Preprocessing::Torch => {
                let [mean, deviation] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
                self.rescaled(1.0 / 255.0, 0.0).standardized(features(&mean, &deviation))
            }
            Preprocessing::Caffe => {
                let means = features(&[103.939, 116.779, 123.68], &[1.0; 3]);
                self.map_samples(reverse_channels, reverse_channels).rescaled(1.0, 0.0).standardized(means)
            }
        })
    }
}

/// Puts the three channels of each pixel in the other order.
fn reverse_channels<T>(sample: &mut [T]) {
    sample.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
}
