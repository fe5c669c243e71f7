//! Model files: folders of `model.json` and `weights.safetensors`, Keras' `.keras` and `.h5` files, ONNX' graphs, and weights
//! in other formats.

#[cfg(feature = "hdf5")]
mod archive;
pub(crate) mod checkpoint;
#[cfg(feature = "hdf5")]
mod hdf5;
#[cfg(feature = "hdf5")]
mod keras_training;
mod load_model;
mod load_weights;
mod model_json;
#[cfg(feature = "onnx")]
mod onnx;
mod other_files;
#[cfg(feature = "hdf5")]
mod pickle;
mod save_model;
mod tensors;
#[cfg(feature = "hdf5")]
mod torch_file;
mod torch_names;
mod weight_file;

use std::path::Path;

use crate::weights::Weight;
use crate::{Error, Result, files};

pub use load_model::LoadModel;
pub(crate) use load_model::{load, load_model_json};
pub use load_weights::LoadWeights;
pub(crate) use load_weights::load_weights;
pub(crate) use save_model::{json_text, save, save_weights};

const MODEL: &str = "model.json";
const WEIGHTS: &str = "weights.safetensors";

/// Reads all tensors of a safetensors file written by [`save_marked`]. `model` is named in the error for unsupported
/// types.
pub(crate) fn read_marked(path: &Path, mark: &str, model: &str) -> Result<Vec<Weight>> {
    let file = tensors::TensorFile::open(path)?;
    if !file.metadata.contains_key(mark) {
        let problem = format!("expected a file with `{mark}` in its metadata, found another; choose another name");
        return Err(Error::Format { path: path.to_owned(), problem });
    }
    file.read_all(model)
}

/// Writes tensors to a safetensors file with a mark in its metadata.
pub(crate) fn save_marked(path: &Path, mark: &str, tensors: &[Weight]) -> Result<()> {
    tensors::write_tensors(path, tensors, Some([(mark.to_owned(), String::new())].into()))
}

/// Creates a folder if it is missing.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| file_error("write", folder, source))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| file_error("read", path, source))
}

/// Writes a file atomically.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    files::write(path, bytes).map_err(|source| file_error("write", path, source))
}

pub(crate) fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { action, path: path.to_owned(), source }
}
