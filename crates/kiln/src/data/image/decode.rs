//! Decodes image files.

use std::io::Cursor;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use kiln_graph::Shape;

use super::jpeg::{self, Problem};
use super::{ColorMode, Image};
use crate::data::DataError;
use crate::memory;

/// Images that need more memory than this to decode, in bytes, are decoded one at a time, so that many threads do not
/// fill the memory.
const LARGE: u64 = 256 << 20;

/// The maximum number of pixels per byte of any format but WebP: PNG's deflate expands a byte to at most 1032, of 8
/// pixels each.
const MOST_PIXELS_PER_BYTE: usize = 16_384;

/// Reads a file of any format of [`decode`], detected by its contents.
///
/// # Errors
/// [`DataError::Read`] if it cannot be read, [`DataError::Format`] if it is not a complete image, [`DataError::Memory`]
/// if decoding needs more than half of the free memory.
pub fn read(path: &Path, color_mode: ColorMode) -> Result<Image, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    decode(&bytes, color_mode).map_err(|refused| match refused {
        Refused::NoImage(found) => DataError::Format { path: path.to_owned(), expected: "an image".to_owned(), found },
        Refused::TooLarge { size: [height, width], needed, limit } => {
            let what = format!("{}, an image of {height} x {width} pixels", path.display());
            DataError::Memory { what, bytes: needed, limit }
        }
    })
}

/// The reason why bytes are not decoded.
#[derive(Debug, PartialEq)]
enum Refused {
    /// Not an image: the description of the contents.
    NoImage(String),
    /// The image needs more memory than allowed, both in bytes.
    TooLarge { size: [usize; 2], needed: u64, limit: Option<u64> },
}

/// Decodes the first frame of a BMP, GIF, JPEG, PNG or WebP file. 16 bits per channel are reduced to 8; EXIF rotations
/// are ignored, as in Keras.
///
/// # Errors
/// The reason of the failure.
fn decode(bytes: &[u8], color_mode: ColorMode) -> Result<Image, Refused> {
    let no_image = |found: &str| Refused::NoImage(found.to_owned());
    if bytes.is_empty() {
        return Err(no_image("an empty file"));
    }
    let format = image::guess_format(bytes).map_err(|_| no_image("a file of another kind"))?;
    let (size, channels, values) = match format {
        ImageFormat::Jpeg => jpeg(bytes)?,
        _ => others(bytes, format)?,
    };
    let shape = Shape::from([size[0], size[1], color_mode.channels()]);
    Ok(Image { shape, values: convert(values, channels, color_mode) })
}

/// Height and width, the number of channels, and the values as bytes.
type Pixels = ([usize; 2], usize, Vec<u8>);

/// The pixels of a JPEG file.
fn jpeg(bytes: &[u8]) -> Result<Pixels, Refused> {
    let mut room = Ok(None);
    let decoded = jpeg::decode(bytes, |needed| {
        room = room_for(needed);
        room.is_ok()
    });
    decoded.map(|image| ([image.height, image.width], image.channels, image.values)).map_err(|problem| match problem {
        Problem::CutShort => Refused::NoImage("a JPEG file that is cut short".to_owned()),
        Problem::Damaged(problem) => Refused::NoImage(format!("a damaged JPEG file ({problem})")),
        Problem::Memory { height, width, needed } => {
            Refused::TooLarge { size: [height, width], needed, limit: room.err() }
        }
    })
}

/// The pixels of a file of another format.
fn others(bytes: &[u8], format: ImageFormat) -> Result<Pixels, Refused> {
    let damaged = |error: ImageError| Refused::NoImage(format!("a damaged {} file ({error})", name(format)));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // For the headers; the limit of the pixels is below.
    let mut limits = Limits::default();
    limits.max_alloc = Some(LARGE);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let size = [height as usize, width as usize];
    let pixels = size[0].saturating_mul(size[1]);
    if format != ImageFormat::WebP && pixels / MOST_PIXELS_PER_BYTE > bytes.len() {
        let ([height, width], name, length) = (size, name(format), bytes.len());
        let found = format!("a damaged {name} file ({height} x {width} pixels in {length} bytes)");
        return Err(Refused::NoImage(found));
    }
    // The pixels, and as much again for the decoder and the conversion of channels.
    let needed = decoder.total_bytes().saturating_mul(2);
    let _alone = room_for(needed).map_err(|limit| Refused::TooLarge { size, needed, limit: Some(limit) })?;
    limits.max_alloc = Some(needed.max(LARGE));
    decoder.set_limits(limits).map_err(damaged)?;
    let (channels, values) = bytes_per_channel(DynamicImage::from_decoder(decoder).map_err(damaged)?);
    Ok((size, channels, values))
}

/// Waits until an image that needs this many bytes may be decoded, while the guard is held.
///
/// # Errors
/// The allowed number of bytes, if it is exceeded.
fn room_for(needed: u64) -> Result<Option<MutexGuard<'static, ()>>, u64> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = (needed > LARGE).then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner));
    let limit = if needed > LARGE { memory::free().map_or(u64::MAX, |free| free / 2) } else { LARGE };
    let room = || memory::with_capacity::<u8>(usize::try_from(needed).unwrap_or(usize::MAX)).map(drop);
    if needed > limit || room().is_err() { Err(limit.min(needed)) } else { Ok(alone) }
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

/// Drops the alpha channel, and converts between grayscale and RGB.
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
            let whole = if format == ImageFormat::Jpeg { STRAY.to_vec() } else { file(noise.clone(), format) };
            assert!(decode(&whole, ColorMode::Rgb).is_ok());
            // A PNG file's last 12 bytes are only its end chunk.
            let needed = whole.len() - if format == ImageFormat::Png { 12 } else { 0 };
            for length in 0..needed {
                assert!(decode(&whole[..length], ColorMode::Rgb).is_err(), "{format:?} cut to {length}");
            }
        }
    }

    /// A JPEG file with stray bytes between its segments.
    const STRAY: &[u8] = include_bytes!("../../../../../tests/fixtures/load_img/garbage_seg.jpg");

    #[test]
    fn stray_bytes_between_segments_of_a_jpeg_are_passed_over() {
        let image = decode(STRAY, ColorMode::Rgb).unwrap();
        assert_eq!(image.shape, Shape::from([8, 8, 3]));
    }

    /// A uniform grey PNG file with this height and width in its header.
    fn grey_png([height, width]: [u32; 2]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new_with_quality(
            &mut bytes,
            image::codecs::png::CompressionType::Fast,
            image::codecs::png::FilterType::NoFilter,
        );
        let pixels = vec![7; height as usize * width as usize];
        image::ImageEncoder::write_image(encoder, &pixels, width, height, image::ExtendedColorType::L8).unwrap();
        bytes
    }

    #[test]
    fn a_photograph_larger_than_half_a_gigabyte_is_decoded_if_the_memory_suffices() {
        if memory::free().is_some_and(|free| free < 4 << 30) {
            return;
        }
        let image = decode(&grey_png([24_000, 24_000]), ColorMode::Grayscale).unwrap();
        assert!(image.shape == Shape::from([24_000, 24_000, 1]) && image.values[575_999_999] == 7);
    }

    #[test]
    fn what_no_memory_holds_says_how_much_it_needs() {
        let mut png = grey_png([3, 3]);
        png[16..24].copy_from_slice(&[0, 15, 0, 0, 0, 15, 0, 0]); // the header's width and height
        let header: [u8; 17] = png[12..29].try_into().unwrap();
        png[29..33].copy_from_slice(&crc(&header).to_be_bytes());
        let short = decode(&png, ColorMode::Grayscale).unwrap_err();
        let found = format!("a damaged PNG file (983040 x 983040 pixels in {} bytes)", png.len());
        assert_eq!(short, Refused::NoImage(found));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.png");
        png.resize(60_000_000, 0); // the minimum size of a file with so many pixels
        std::fs::write(&path, png).unwrap();
        let error = read(&path, ColorMode::Grayscale).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, DataError::Memory { limit: Some(_), .. }), "{text}");
        let expected = "large.png, an image of 983040 x 983040 pixels: 1.9 TB needed, at most ";
        assert!(
            text.contains(expected) && text.contains("(half of what is free) allowed; use smaller images"),
            "{text}"
        );
    }

    /// The checksum of a PNG chunk.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
    }

    #[test]
    fn what_is_no_image_says_what_it_is() {
        let found = |bytes: &[u8]| match decode(bytes, ColorMode::Rgb).unwrap_err() {
            Refused::NoImage(found) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(found(b""), "an empty file");
        assert_eq!(found(b"<html></html>"), "a file of another kind");
        assert_eq!(found(&STRAY[..STRAY.len() - 2]), "a JPEG file that is cut short");
        assert_eq!(found(&STRAY[..3]), "a JPEG file that is cut short");
    }
}
