//! What can go wrong with data.

use std::io;
use std::path::PathBuf;

use kiln_graph::Shape;

use crate::memory;

/// What can go wrong when a data set is read or put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file is not there.
    #[error("{} is not in {}; `kiln data {data_set}` fetches it", .name, .folder.display())]
    NotFound {
        /// The folder that was searched.
        folder: PathBuf,
        /// The file's name, without `.gz`.
        name: &'static str,
        /// The data set that it is of.
        data_set: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds something other than it should.
    #[error("{}: expected {expected}, found {found}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The values are not a whole number of samples.
    #[error("expected a whole number of samples of shape {shape} ({} values each), found {found} values", .shape.elements())]
    Values {
        /// The shape of one sample.
        shape: Shape,
        /// How many values there are.
        found: usize,
    },
    /// There are not as many labels as samples.
    #[error("expected {expected} label values for {samples} samples, found {found}")]
    Labels {
        /// How many samples there are.
        samples: usize,
        /// How many label values they need.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// There are not as many weights as samples.
    #[error("expected a weight for each of {samples} samples, found {found}")]
    SampleWeights {
        /// How many samples there are.
        samples: usize,
        /// How many weights there are.
        found: usize,
    },
    /// No sample has a number.
    #[error("sample index {found} is out of range ({samples} samples)")]
    NoSample {
        /// How many samples there are.
        samples: usize,
        /// The number.
        found: u32,
    },
    /// A label names no class.
    #[error("sample {sample}: expected a label below {classes}, found {found}")]
    Class {
        /// The sample's index.
        sample: usize,
        /// The number of classes.
        classes: usize,
        /// The label.
        found: u32,
    },
    /// A folder has no images in sub-folders.
    #[error("expected a sub-folder of images (bmp, gif, jpg, png or webp) for each class in {}, found none", .folder.display())]
    NoImages {
        /// The folder.
        folder: PathBuf,
    },
    /// Files of a folder of images are damaged.
    #[error("{count} of {files} images cannot be used; repair or remove them, or skip them{}", list(.damaged, *.count))]
    Corrupt {
        /// What is wrong with the first of them.
        damaged: Vec<DataError>,
        /// How many are damaged.
        count: usize,
        /// How many files there are.
        files: usize,
    },
    /// There are not as many names as classes.
    #[error("expected {classes} names of classes, found {found}")]
    ClassNames {
        /// The number of classes.
        classes: usize,
        /// How many names there are.
        found: usize,
    },
    /// Samples are no images with three channels.
    #[error("expected images [height, width, 3] to preprocess, found samples {shape}")]
    NotRgb {
        /// The shape of one sample.
        shape: Shape,
    },
    /// Samples need more memory than there is.
    #[error("not enough memory for {what}: {} needed{}; use smaller images, or fewer at a time", memory::readable(*.bytes), allowed(*.limit))]
    Memory {
        /// What needs it.
        what: String,
        /// How much it needs, in bytes.
        bytes: u64,
        /// How much it may take, in bytes, if that is less: half of the free memory.
        limit: Option<u64>,
    },
    /// There is no folder to keep data in.
    #[error("expected KILN_DATA or a home folder to keep data in, found neither; set KILN_DATA to a folder")]
    NoFolder,
}

fn allowed(limit: Option<u64>) -> String {
    limit
        .map(|limit| format!(", at most {} (half of what is free) allowed", memory::readable(limit)))
        .unwrap_or_default()
}

fn list(damaged: &[DataError], count: usize) -> String {
    let lines: String = damaged.iter().map(|error| format!("\n  {error}")).collect();
    match count.saturating_sub(damaged.len()) {
        0 => lines,
        more => format!("{lines}\n  and {more} more"),
    }
}
