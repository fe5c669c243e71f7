//! The preprocessing of images for backbones: Keras' `preprocess_input`.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, Features, Input, Standardization};
use crate::UnknownName;

/// The preprocessing of RGB values from 0 to 255 that a network was trained with: Keras' modes of `preprocess_input`
/// (`keras/src/applications/imagenet_utils.py`). The wrong mode gives wrong predictions without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocessing {
    /// Blue, green and red, minus the means of ImageNet `[103.939, 116.779, 123.68]`: VGG16 with Keras' weights.
    Caffe,
    /// `x / 127.5 - 1`: InceptionV3 with Keras' weights, and with torchvision's, which were converted from TensorFlow.
    Tf,
    /// `(x / 255 - mean) / std` with the means `[0.485, 0.456, 0.406]` and standard deviations `[0.229, 0.224, 0.225]` of
    /// ImageNet: networks trained in PyTorch, such as torchvision's VGG16.
    Torch,
}

impl Preprocessing {
    /// All modes.
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
    type Err = UnknownName;

    /// The mode with Keras' name.
    fn from_str(name: &str) -> Result<Preprocessing, UnknownName> {
        let known = Preprocessing::ALL.into_iter().find(|mode| mode.name() == name);
        known.ok_or_else(|| UnknownName::new(&Preprocessing::ALL.map(Preprocessing::name), name))
    }
}

impl Dataset {
    /// Preprocesses images with values from 0 to 255 for a backbone, replacing the previous scaling. Reorders the
    /// channels; the device scales the values, batch by batch. Before [`Dataset::zip`], if other inputs are not images.
    ///
    /// # Errors
    /// If samples do not have three channels.
    pub fn preprocess_input(self, preprocessing: Preprocessing) -> Result<Dataset, DataError> {
        self.try_map_inputs(|input| preprocessed(input, preprocessing))
    }
}

fn preprocessed(input: Input, preprocessing: Preprocessing) -> Result<Input, DataError> {
    let shape = input.sample_shape.clone();
    if shape.len() != 3 || shape[2] != 3 {
        return Err(DataError::NotRgb { shape });
    }
    let features = |mean, divisor| {
        let features = Features::of_channels(mean, divisor, shape.elements());
        Standardization { samples: None, features: Some(Arc::new(features)) }
    };
    let plain = Standardization::default();
    Ok(match preprocessing {
        Preprocessing::Tf => input.rescaled(1.0 / 127.5, -1.0).standardized(plain),
        Preprocessing::Torch => {
            let [mean, deviation] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
            input.rescaled(1.0 / 255.0, 0.0).standardized(features(&mean, &deviation))
        }
        Preprocessing::Caffe => {
            let means = features(&[103.939, 116.779, 123.68], &[1.0; 3]);
            input.map_samples(reverse_channels, reverse_channels).rescaled(1.0, 0.0).standardized(means)
        }
    })
}

/// Reverses the three channels of each pixel.
fn reverse_channels<T>(sample: &mut [T]) {
    sample.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
}
