//! Images: read from a file or a whole folder as bytes `[H, W, C]`, resized as by PIL.

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
    /// The values, 0 to 255, in row-major order with interleaved channels.
    pub values: Vec<u8>,
}

impl Image {
    /// The values as floats, 0 to 255: Keras' `img_to_array`.
    pub fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|&value| f32::from(value)).collect()
    }
}

/// The channels of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorMode {
    /// Red, green and blue; transparency is dropped.
    #[default]
    Rgb,
    /// One channel, `0.299 R + 0.587 G + 0.114 B`, rounded as in PIL.
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
