//! One image from a file.

use std::path::Path;

use super::{ColorMode, Image, Interpolation, decode, resize};
use crate::data::DataError;

/// The arguments of [`load_img`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadImg {
    /// The channels.
    pub color_mode: ColorMode,
    /// The height and width in pixels; by default, those of the file.
    pub target_size: Option<[usize; 2]>,
    /// The interpolation, if the image is resized.
    pub interpolation: Interpolation,
}

/// Reads a BMP, GIF, JPEG, PNG or WebP file, as Keras' `load_img` with PIL: the channels are converted, then the image
/// is resized, without keeping its aspect ratio. Values are bytes, 0 to 255, identical to PIL's; JPEG files are decoded
/// as by libjpeg-turbo.
///
/// [`Dataset::from_u8`](crate::data::Dataset::from_u8) scales bytes by 1/255, unless
/// [`Dataset::rescaled`](crate::data::Dataset::rescaled) sets another scale. For a network trained on images of
/// [`image_dataset_from_directory`](crate::data::image_dataset_from_directory), use the same `interpolation`; the
/// defaults differ.
///
/// # Errors
/// [`DataError::Read`] if the file cannot be read, [`DataError::Format`] if it is not a complete image,
/// [`DataError::Memory`] if decoding needs more than half of the free memory.
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
