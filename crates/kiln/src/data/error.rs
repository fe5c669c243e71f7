//! Errors of data sets.

use std::io;
use std::path::PathBuf;

use kiln_graph::Shape;

use crate::memory;

/// An error of reading or creating a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file is missing.
    #[error("{} is not in {}; `kiln data {data_set}` fetches it", .name, .folder.display())]
    NotFound {
        /// The folder that was searched.
        folder: PathBuf,
        /// The file's name, without `.gz`.
        name: &'static str,
        /// The file's data set.
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
    /// A file has the wrong format.
    #[error("{}: expected {expected}, found {found}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The expected contents.
        expected: String,
        /// The actual contents.
        found: String,
    },
    /// The values are not a whole number of samples.
    #[error("expected a whole number of samples of shape {shape} ({} values each), found {found} values", .shape.elements())]
    Values {
        /// The shape of one sample.
        shape: Shape,
        /// The number of values.
        found: usize,
    },
    /// The number of labels does not match the samples.
    #[error("expected {expected} label values for {samples} samples, found {found}")]
    Labels {
        /// The number of samples.
        samples: usize,
        /// The required number of label values.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// The number of weights does not match the samples.
    #[error("expected a weight for each of {samples} samples, found {found}")]
    SampleWeights {
        /// The number of samples.
        samples: usize,
        /// The number of weights.
        found: usize,
    },
    /// There are several weights of each sample, but not one for each target.
    #[error("expected one weight of each sample, or one for each of {targets} targets, found {found}")]
    TargetWeights {
        /// The number of targets.
        targets: usize,
        /// The number of weights of each sample.
        found: usize,
    },
    /// A data set has no inputs.
    #[error("expected the samples of at least one input, found none")]
    NoInputs,
    /// The inputs have different numbers of samples.
    #[error("input {input}: expected {samples} samples, as for the inputs before it, found {found}")]
    Inputs {
        /// The index of the input.
        input: usize,
        /// The number of samples.
        samples: usize,
        /// The number found.
        found: usize,
    },
    /// An input other than the first has labels or weights.
    #[error(
        "input {input}: expected samples without labels and weights, found some; set those of all outputs with `with_targets` and `with_target_weights`"
    )]
    LabelledInput {
        /// The index of the input.
        input: usize,
    },
    /// A sample index is out of range.
    #[error("sample index {found} is out of range ({samples} samples)")]
    NoSample {
        /// The number of samples.
        samples: usize,
        /// The number.
        found: u32,
    },
    /// A label is out of range.
    #[error("sample {sample}: expected a label below {classes}, found {found}")]
    Class {
        /// The sample's index.
        sample: usize,
        /// The number of classes.
        classes: usize,
        /// The label.
        found: u32,
    },
    /// A folder has no subfolders with images.
    #[error("expected a subfolder of images (bmp, gif, jpg, png or webp) per class in {}, found none", .folder.display())]
    NoImages {
        /// The folder.
        folder: PathBuf,
    },
    /// Files of a folder of images are damaged.
    #[error("{count} of {files} images cannot be used; repair or remove them, or skip them{}", list(.damaged, *.count))]
    Corrupt {
        /// The errors of the first of them.
        damaged: Vec<DataError>,
        /// The number of damaged files.
        count: usize,
        /// The number of files.
        files: usize,
    },
    /// The number of class names does not match the classes.
    #[error("expected {classes} names of classes, found {found}")]
    ClassNames {
        /// The number of classes.
        classes: usize,
        /// The number of names.
        found: usize,
    },
    /// Samples are not images with three channels.
    #[error("expected images [height, width, 3] to preprocess, found samples {shape}")]
    NotRgb {
        /// The shape of one sample.
        shape: Shape,
    },
    /// Samples exceed the available memory.
    #[error("not enough memory for {what}: {} needed{}; use smaller images, or fewer at a time", memory::readable(*.bytes), allowed(*.limit))]
    Memory {
        /// The data that need it.
        what: String,
        /// The required memory in bytes.
        bytes: u64,
        /// The allowed memory in bytes, if it is exceeded: half of the free memory.
        limit: Option<u64>,
    },
    /// There is no folder for data sets.
    #[error("no folder for data sets: there is no home folder; set KILN_DATA to a folder")]
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
