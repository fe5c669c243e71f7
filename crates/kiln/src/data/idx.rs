//! IDX files: `0 0 type axes`, the extent of each axis as a big-endian u32, then the values.
//!
//! The format of MNIST and its drop-in replacements. Kiln reads unsigned bytes (type 8), plain or gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use kiln_graph::Shape;

use super::DataError;
use crate::memory;

/// The contents of an IDX file.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// The extent of each axis.
    pub shape: Shape,
    /// The values in row-major order.
    pub values: Vec<u8>,
}

/// Reads an IDX file of unsigned bytes, plain or gzip.
///
/// # Errors
/// [`DataError::Read`] if the file cannot be read, [`DataError::Format`] if it is not such a file, is truncated or has
/// trailing data.
pub fn read(path: impl AsRef<Path>) -> Result<Idx, DataError> {
    let path = path.as_ref();
    let mut file = open(path).map_err(|source| unreadable(path, source))?;

    let magic = header::<4>(&mut file, path, "a magic number of 4 bytes")?;
    let [0, 0, 8, axes @ 1..=8] = magic else {
        let expected = "an IDX file of unsigned bytes, which starts with 00 00 08 and 1 to 8 axes";
        let [a, b, c, d] = magic;
        return Err(format_error(path, expected, format!("{a:02x} {b:02x} {c:02x} {d:02x}")));
    };
    let mut shape = Vec::new();
    for axis in 0..axes {
        let extent = header::<4>(&mut file, path, &format!("the extent of axis {axis} of {axes}"))?;
        shape.push(u32::from_be_bytes(extent) as usize);
    }
    let shape = Shape::from(shape);
    let Some(expected) = shape.iter().try_fold(1_u64, |product, &extent| product.checked_mul(extent as u64)) else {
        return Err(format_error(path, "fewer than 2^64 values", format!("the shape {shape}")));
    };

    let (values, read) = memory::read_to_end(file.by_ref().take(expected));
    up_to_the_end(read).map_err(|source| unreadable(path, source))?;
    let mut found = values.len() as u64;
    if found == expected {
        found += io::copy(&mut file, &mut io::sink()).map_err(|source| unreadable(path, source))?;
    }
    if found != expected {
        let expected = format!("{expected} values of shape {shape}");
        let cut = if found == values.len() as u64 { " (the file is cut short)" } else { "" };
        return Err(format_error(path, &expected, format!("{found}{cut}")));
    }
    Ok(Idx { shape, values })
}

/// Opens a file, decompressing gzip.
///
/// # Errors
/// If the file cannot be opened or read.
pub fn open(path: impl AsRef<Path>) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(File::open(path)?);
    let packed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Finds the file `name` in `folder`, such as `train-images-idx3-ubyte`, with or without `.gz`, or spelled
/// `train-images.idx3-ubyte`.
pub fn find(folder: impl AsRef<Path>, name: &str) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    [name, &dotted]
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{name}.gz")])
        .map(|name| folder.as_ref().join(name))
        .find(|path| path.is_file())
}

fn header<const N: usize>(file: &mut dyn Read, path: &Path, expected: &str) -> Result<[u8; N], DataError> {
    let mut bytes = Vec::with_capacity(N);
    up_to_the_end(file.take(N as u64).read_to_end(&mut bytes).map(drop)).map_err(|source| unreadable(path, source))?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| format_error(path, expected, format!("{found} bytes (the file is cut short)")))
}

/// Treats the error of a truncated gzip file as the end of the file, as in a plain file.
fn up_to_the_end(read: io::Result<()>) -> io::Result<()> {
    match read {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(()),
    }
}

fn unreadable(path: &Path, source: io::Error) -> DataError {
    DataError::Read { path: path.to_owned(), source }
}

fn format_error(path: &Path, expected: &str, found: impl Into<String>) -> DataError {
    DataError::Format { path: path.to_owned(), expected: expected.to_owned(), found: found.into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// Two images of 1 x 3.
    const IMAGES: [u8; 22] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Idx, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x-idx3-ubyte");
        std::fs::write(&path, bytes).unwrap();
        read(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn plain_and_gzip_files_read_the_same() {
        let expected = Idx { shape: Shape::from([2, 1, 3]), values: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(read_bytes(&IMAGES).unwrap(), expected);
        assert_eq!(read_bytes(&gzip(&IMAGES)).unwrap(), expected);
    }

    #[test]
    fn a_gzip_file_of_two_members_is_read_to_its_end() {
        let bytes = [gzip(&IMAGES[..20]), gzip(&IMAGES[20..])].concat();
        assert_eq!(read_bytes(&bytes).unwrap().values, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_file_cut_short_says_how_many_values_are_there() {
        let message = "FILE: expected 6 values of shape [2, 1, 3], found 4 (the file is cut short)";
        assert_eq!(read_bytes(&IMAGES[..20]).unwrap_err(), message);
        assert_eq!(read_bytes(&gzip(&IMAGES[..20])).unwrap_err(), message);
    }

    #[test]
    fn a_gzip_stream_cut_short_is_an_error() {
        let packed = gzip(&IMAGES);
        for length in 2..packed.len() {
            assert!(read_bytes(&packed[..length]).is_err(), "cut to {length} of {} bytes", packed.len());
        }
    }

    #[test]
    fn a_header_cut_short_names_the_axis() {
        assert_eq!(
            read_bytes(&IMAGES[..10]).unwrap_err(),
            "FILE: expected the extent of axis 1 of 3, found 2 bytes (the file is cut short)"
        );
        assert_eq!(
            read_bytes(&[]).unwrap_err(),
            "FILE: expected a magic number of 4 bytes, found 0 bytes (the file is cut short)"
        );
    }

    #[test]
    fn bytes_after_the_last_value_are_an_error() {
        let long = [&IMAGES[..], &[7, 7]].concat();
        assert_eq!(read_bytes(&long).unwrap_err(), "FILE: expected 6 values of shape [2, 1, 3], found 8");
    }

    #[test]
    fn a_file_of_another_kind_shows_how_it_starts() {
        let error = read_bytes(b"<html>").unwrap_err();
        assert!(error.ends_with("found 3c 68 74 6d"), "{error}");
        assert!(read_bytes(&[0, 0, 13, 1, 0, 0, 0, 0]).unwrap_err().ends_with("found 00 00 0d 01"));
    }

    #[test]
    fn a_header_that_promises_too_much_takes_no_memory() {
        let huge = [&[0, 0, 8, 3][..], &[0xff; 12]].concat();
        assert!(read_bytes(&huge).unwrap_err().contains("expected fewer than 2^64 values"));
        let large = [&[0, 0, 8, 1][..], &[0xff; 4]].concat();
        assert!(read_bytes(&large).unwrap_err().ends_with("found 0 (the file is cut short)"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        assert_eq!(read("no/such/file").unwrap_err().to_string(), "cannot read no/such/file");
    }

    #[test]
    fn both_spellings_and_gzip_are_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(&folder, "train-images-idx3-ubyte"), None);
        for name in ["train-images.idx3-ubyte.gz", "train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"] {
            std::fs::write(folder.path().join(name), "").unwrap();
            assert_eq!(find(&folder, "train-images-idx3-ubyte"), Some(folder.path().join(name)));
        }
    }
}
