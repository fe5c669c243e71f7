//! One image from a file.

use std::path::Path;

use super::{ColorMode, Image, Interpolation, decode, resize};
use crate::data::DataError;

/// The arguments of [`load_img`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadImg {
    /// The channels.
    pub color_mode: ColorMode,
    /// The height and the width, in pixels; without them, those of the file.
    pub target_size: Option<[usize; 2]>,
    /// How the image is resized if it has another size.
    pub interpolation: Interpolation,
}

/// Reads an image from a BMP, GIF, JPEG, PNG or WebP file, as Keras' `load_img` does with PIL: first the channels are
/// converted, then the image is resized, without keeping its aspect ratio. Values are bytes, 0 to 255, the same as PIL's, in
/// JPEG files as libjpeg-turbo decodes them.
///
/// A model sees the bytes of [`Dataset::from_u8`](crate::data::Dataset::from_u8) divided by 255, unless
/// [`Dataset::rescaled`](crate::data::Dataset::rescaled) says otherwise. For the answers of a network that
/// [`image_dataset_from_directory`](crate::data::image_dataset_from_directory) trained, take its `interpolation`, which is
/// not the same by default.
///
/// # Errors
/// [`DataError::Read`] when the file cannot be read, [`DataError::Format`] when it is no whole image,
/// [`DataError::Memory`] when it takes more than half of the free memory to decode.
///
/// # Example
/// ```no_run
/// use kiln::data::{LoadImg, load_img};
///
/// let cat = load_img("cat.jpg", &LoadImg { target_size: Some([224, 224]), ..LoadImg::default() })?;
/// assert_eq!(cat.shape, [224, 224, 3].into());
/// # Ok::<(), kiln::data::DataError>(())
/// ```
pub fn load_img(path: impl AsRef<Path>, options: &LoadImg) -> Result<Image, DataError> {
    let image = decode::read(path.as_ref(), options.color_mode)?;
    Ok(match options.target_size {
        Some(size) => resize::resize(image, size, options.interpolation),
        None => image,
    })
}
