//! Data sets of samples and labels ([`Dataset`]), and their file formats.
//!
//! ```no_run
//! use kiln::data;
//!
//! let (train, test) = data::mnist(data::folder("mnist")?)?;
//! assert_eq!((train.len(), test.len(), train.classes()), (60_000, 10_000, 10));
//! # Ok::<(), data::DataError>(())
//! ```

mod cifar;
mod dataset;
mod error;
pub mod idx;
mod image;
mod input;
mod labels;
mod mnist;
mod preprocessing;
mod rows;
mod samples;
mod shared;
pub(crate) mod standardization;
mod stream;
mod tensors;

use std::path::PathBuf;

pub use cifar::{LabelMode, cifar10, cifar100};
pub use dataset::Dataset;
pub use error::DataError;
pub use image::{
    ColorMode, Corrupt, Image, ImageOptions, Interpolation, LoadImg, image_dataset_from_directory, load_img,
};
pub(crate) use input::Input;
pub use labels::Labels;
pub use mnist::{MNIST_FILES, mnist};
pub use preprocessing::Preprocessing;
pub use samples::Values;
pub use shared::Shared;
pub(crate) use standardization::{Features, Standardization};
pub use stream::{SampleValue, Source};
pub use tensors::{load_safetensors, load_safetensors_samples};

/// The environment variable with the folder of data sets.
pub const FOLDER_VARIABLE: &str = "KILN_DATA";

/// The folder of the data set `name`: `$KILN_DATA/name`, or `kiln/name` in the platform's cache folder (`~/.cache` on
/// Linux). The folder need not exist.
///
/// # Errors
/// [`DataError::NoFolder`] if neither the variable nor a home folder is set.
pub fn folder(name: &str) -> Result<PathBuf, DataError> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder).join(name));
    }
    crate::cache_folder(name).ok_or(DataError::NoFolder)
}
