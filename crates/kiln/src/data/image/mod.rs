//! Images: read from files as bytes `[H, W, C]`, resized as PIL does it, one or a whole folder.

mod decode;
mod directory;
mod files;
mod jpeg;
mod listing;
mod load;
mod names;
mod resize;

use kiln_graph::Shape;
use serde::{Deserialize, Serialize};

pub use directory::{Corrupt, ImageOptions, image_dataset_from_directory};
pub use load::{LoadImg, load_img};
pub use resize::Interpolation;

/// The pixels of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `[H, W, C]`
    pub shape: Shape,
    /// The values, 0 to 255, row after row, the channels of a pixel side by side.
    pub values: Vec<u8>,
}

impl Image {
    /// The same values as floats, 0 to 255: Keras' `img_to_array`.
    pub fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|&value| f32::from(value)).collect()
    }
}

/// The channels that images are converted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorMode {
    /// Red, green and blue. What an image says about transparency is dropped.
    #[default]
    Rgb,
    /// One channel, `0.299 R + 0.587 G + 0.114 B`, as PIL rounds it.
    Grayscale,
}

impl ColorMode {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            ColorMode::Rgb => 3,
            ColorMode::Grayscale => 1,
        }
    }
}
