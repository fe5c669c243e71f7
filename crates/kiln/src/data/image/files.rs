//! Reads the files of a folder of classes as samples.

use std::fmt;
use std::path::{Path, PathBuf};

use kiln_graph::Shape;

use super::listing::File;
use super::{ColorMode, ImageOptions, Interpolation, decode, resize};
use crate::data::{DataError, Source};

/// The conversion of a file to a sample.
#[derive(Debug)]
pub(super) struct Rule {
    pub shape: Shape,
    color_mode: ColorMode,
    interpolation: Interpolation,
    /// The file whose size all others must have, if none is resized.
    first: Option<PathBuf>,
}

impl Rule {
    pub fn new(files: &[File], options: &ImageOptions<'_>) -> Result<Rule, DataError> {
        let &ImageOptions { color_mode, interpolation, image_size, .. } = options;
        let whole = |file: &File| Some((decode::read(&file.path, color_mode).ok()?.shape, file.path.clone()));
        let (shape, first) = match image_size {
            Some([height, width]) => (Shape::from([height, width, color_mode.channels()]), None),
            None => match files.iter().find_map(whole) {
                Some((shape, file)) => (shape, Some(file)),
                None => (Shape::from([1, 1, color_mode.channels()]), None),
            },
        };
        match shape.elements() {
            0 => Err(DataError::Values { shape, found: 0 }),
            _ => Ok(Rule { shape, color_mode, interpolation, first }),
        }
    }

    /// Writes a sample to its place; returns the error of a file that cannot be decoded.
    pub fn read(&self, path: &Path, place: &mut [u8]) -> Result<Option<DataError>, DataError> {
        let mut image = match decode::read(path, self.color_mode) {
            Ok(image) => image,
            Err(error @ DataError::Memory { .. }) => return Err(error), // the file may be valid
            Err(damage) => return Ok(Some(damage)),
        };
        let [height, width] = [self.shape[0], self.shape[1]];
        match &self.first {
            None => image = resize::resize(image, [height, width], self.interpolation),
            Some(_) if image.shape == self.shape => {}
            Some(first) => {
                let expected = format!("an image of {height} x {width}, as {} is, or an `image_size`", first.display());
                let found = format!("one of {} x {}", image.shape[0], image.shape[1]);
                return Err(DataError::Format { path: path.to_owned(), expected, found });
            }
        }
        place.copy_from_slice(&image.values);
        Ok(None)
    }
}

/// Files decoded on demand.
pub(super) struct Files {
    pub rule: Rule,
    pub files: Vec<File>,
}

impl Source for Files {
    type Value = u8;

    fn len(&self) -> usize {
        self.files.len()
    }

    fn sample_shape(&self) -> Shape {
        self.rule.shape.clone()
    }

    fn read(&self, index: usize, place: &mut [u8]) -> Result<(), DataError> {
        self.rule.read(&self.files[index].path, place)?.map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Files({} images {})", self.files.len(), self.rule.shape)
    }
}
