//! Pictures from the command line as samples.

use std::path::PathBuf;

use kiln::Model;
use kiln::data::{ColorMode, Dataset, Labels, LoadImg, load_img};

use crate::error::Error;

/// The pictures, of the size that the model takes, resized as Keras' load_img does. A model sees them divided by 255.
pub fn load(model: &Model, images: &[PathBuf]) -> Result<Dataset, Error> {
    let shape = model.input_shape().clone();
    let wrong = || Error::NoPictures { model: model.name().to_owned(), takes: shape.to_string() };
    let Some([height, width, channels]) = shape.dims() else { return Err(wrong()) };
    let color_mode = match channels {
        1 => ColorMode::Grayscale,
        3 => ColorMode::Rgb,
        _ => return Err(wrong()),
    };
    let options = LoadImg { color_mode, target_size: Some([height, width]), ..LoadImg::default() };
    let mut values = Vec::with_capacity(images.len() * shape.elements());
    for image in images {
        values.extend(load_img(image, &options)?.values);
    }
    let labels = Labels::index(vec![0; images.len()], 1);
    Ok(Dataset::from_u8(shape, values, labels)?)
}
