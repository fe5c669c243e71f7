//! From a file's bytes to pixels.

use std::path::Path;

use image::{DynamicImage, ImageFormat};
use kiln_graph::Shape;

use super::{ColorMode, Image};
use crate::data::DataError;

/// Reads a file of any kind that [`decode`] knows; what it is does not depend on its name.
///
/// # Errors
/// [`DataError::Read`] when it cannot be read, [`DataError::Format`] when it is no whole image.
pub fn read(path: &Path, color_mode: ColorMode) -> Result<Image, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    decode(&bytes, color_mode).map_err(|found| DataError::Format {
        path: path.to_owned(),
        expected: "an image".to_owned(),
        found,
    })
}

/// The first frame of a BMP, GIF, JPEG, PNG or WebP file. 16 bits per channel become 8; rotations that a camera noted
/// beside the pixels are not carried out, nor does Keras.
///
/// # Errors
/// What the bytes are instead.
fn decode(bytes: &[u8], color_mode: ColorMode) -> Result<Image, String> {
    if bytes.is_empty() {
        return Err("an empty file".to_owned());
    }
    let format = image::guess_format(bytes).map_err(|_| "a file of another kind".to_owned())?;
    if format == ImageFormat::Jpeg && is_cut_short(bytes) {
        return Err("a JPEG file that is cut short".to_owned());
    }
    let image = image::load_from_memory_with_format(bytes, format)
        .map_err(|error| format!("a damaged {} file ({error})", name(format)))?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let shape = Shape::from([height, width, color_mode.channels()]);
    let (channels, values) = bytes_per_channel(image);
    Ok(Image { shape, values: convert(values, channels, color_mode) })
}

/// Whether no end marker follows the start of the first scan. The decoder fills what is missing with grey and says
/// nothing; PIL takes it for an error.
fn is_cut_short(bytes: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    const END: [u8; 2] = [0xff, 0xd9];
    let mut at = 2; // behind the start marker; each segment is `ff marker length`, and its length counts itself
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == SCAN {
            return !bytes[at..].windows(2).any(|pair| pair == END);
        }
        // A marker may be preceded by any number of ff.
        at += if marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
    }
    true
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Bmp => "BMP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        _ => "image",
    }
}

/// The number of channels, and the values as bytes.
fn bytes_per_channel(image: DynamicImage) -> (usize, Vec<u8>) {
    match image {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => (2, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        DynamicImage::ImageRgba8(image) => (4, image.into_raw()),
        image if image.color().has_color() => (3, image.into_rgb8().into_raw()),
        image => (1, image.into_luma8().into_raw()),
    }
}

/// Drops the alpha of 2 or 4 channels, and makes grey of colours or the other way round.
fn convert(values: Vec<u8>, channels: usize, color_mode: ColorMode) -> Vec<u8> {
    match (color_mode, channels) {
        (ColorMode::Rgb, 3) | (ColorMode::Grayscale, 1) => values,
        (ColorMode::Rgb, 1 | 2) => values.chunks_exact(channels).flat_map(|pixel| [pixel[0]; 3]).collect(),
        (ColorMode::Rgb, _) => values.chunks_exact(channels).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        (ColorMode::Grayscale, 2) => values.chunks_exact(channels).map(|pixel| pixel[0]).collect(),
        (ColorMode::Grayscale, _) => values.chunks_exact(channels).map(grey).collect(),
    }
}

/// `0.299 R + 0.587 G + 0.114 B` with weights of 16 bits, rounded, as PIL's `convert("L")`.
fn grey(pixel: &[u8]) -> u8 {
    let [r, g, b] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
    ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::io::Cursor;

    use image::{GrayAlphaImage, GrayImage, RgbImage, RgbaImage};

    use super::*;

    fn file(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// One row of red, green and blue.
    fn colours() -> RgbImage {
        RgbImage::from_raw(3, 1, vec![255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap()
    }

    #[test]
    fn lossless_files_keep_every_value() {
        for format in [ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Png, ImageFormat::WebP] {
            let image = decode(&file(colours(), format), ColorMode::Rgb).unwrap();
            assert_eq!(image.shape, Shape::from([1, 3, 3]), "{format:?}");
            assert_eq!(image.values, [255, 0, 0, 0, 255, 0, 0, 0, 255], "{format:?}");
        }
    }

    #[test]
    fn grey_is_a_weighted_sum_of_the_colours() {
        let image = decode(&file(colours(), ImageFormat::Png), ColorMode::Grayscale).unwrap();
        assert_eq!((image.shape, image.values), (Shape::from([1, 3, 1]), vec![76, 150, 29]));
    }

    #[test]
    fn a_grey_image_has_three_equal_colours() {
        let grey = GrayImage::from_raw(2, 1, vec![7, 9]).unwrap();
        assert_eq!(decode(&file(grey, ImageFormat::Png), ColorMode::Rgb).unwrap().values, [7, 7, 7, 9, 9, 9]);
    }

    #[test]
    fn transparency_is_dropped() {
        let colour = file(RgbaImage::from_raw(1, 1, vec![1, 2, 3, 0]).unwrap(), ImageFormat::Png);
        let grey = file(GrayAlphaImage::from_raw(1, 1, vec![5, 0]).unwrap(), ImageFormat::Png);
        assert_eq!(decode(&colour, ColorMode::Rgb).unwrap().values, [1, 2, 3]);
        assert_eq!(decode(&grey, ColorMode::Rgb).unwrap().values, [5, 5, 5]);
        assert_eq!(decode(&grey, ColorMode::Grayscale).unwrap().values, [5]);
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let noise = RgbImage::from_fn(17, 9, |x, y| image::Rgb([(x * 91 + y * 57) as u8, (x * y) as u8, 3]));
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp] {
            let whole = file(noise.clone(), format);
            assert!(decode(&whole, ColorMode::Rgb).is_ok());
            // A PNG file's last 12 bytes hold nothing but its end.
            let needed = whole.len() - if format == ImageFormat::Png { 12 } else { 0 };
            for length in 0..needed {
                assert!(decode(&whole[..length], ColorMode::Rgb).is_err(), "{format:?} cut to {length}");
            }
        }
    }

    #[test]
    fn what_is_no_image_says_what_it_is() {
        assert_eq!(decode(b"", ColorMode::Rgb).unwrap_err(), "an empty file");
        assert_eq!(decode(b"<html></html>", ColorMode::Rgb).unwrap_err(), "a file of another kind");
        let mut jpeg = file(colours(), ImageFormat::Jpeg);
        jpeg.truncate(jpeg.len() - 2);
        assert_eq!(decode(&jpeg, ColorMode::Rgb).unwrap_err(), "a JPEG file that is cut short");
    }
}
