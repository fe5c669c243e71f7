//! What can go wrong with data.

use std::io;
use std::path::PathBuf;

use kiln_graph::Shape;

/// What can go wrong when a data set is read or put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file is not there.
    #[error("{} is not in {}; `kiln data mnist` fetches it", .name, .folder.display())]
    NotFound {
        /// The folder that was searched.
        folder: PathBuf,
        /// The file's name, without `.gz`.
        name: &'static str,
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
    /// There is no folder to keep data in.
    #[error("expected KILN_DATA or a home folder to keep data in, found neither; set KILN_DATA to a folder")]
    NoFolder,
}
