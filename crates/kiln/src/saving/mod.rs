//! Model files: `model.json` and `weights.safetensors`, and weights in other formats.

pub(crate) mod checkpoint;
#[cfg(feature = "hdf5")]
mod hdf5;
#[cfg(feature = "hdf5")]
mod keras_names;
mod load_weights;
mod model_json;
mod other_files;
mod tensors;
mod torch;
mod weight_file;

use std::path::{Path, PathBuf};

use crate::layers::Registry;
use crate::weights::Weight;
use crate::{Error, Model, Result, files};

pub use load_weights::LoadWeights;
pub(crate) use load_weights::load_weights;
pub(crate) use tensors::save_weights;

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

/// Writes both files to a folder.
pub(crate) fn save(model: &Model, folder: &Path) -> Result<()> {
    let weights = model.get_weights()?;
    let json = model_json(model)?;
    make_folder(folder)?;
    write_atomically(&folder.join(MODEL), json.as_bytes())?;
    save_weights(&folder.join(WEIGHTS), &weights)
}

/// The text of `model.json`.
pub(crate) fn model_json(model: &Model) -> Result<String> {
    let json = model_json::to_json(model.network())?;
    serde_json::to_string_pretty(&json)
        .map_err(|error| Error::Format { path: PathBuf::from(MODEL), problem: error.to_string() })
}

/// Reads both files of a folder.
pub(crate) fn load(folder: &Path, registry: &Registry) -> Result<Model> {
    let mut model = load_model_json(&folder.join(MODEL), registry)?;
    model.load_weights(folder.join(WEIGHTS))?;
    Ok(model)
}

/// Reads a model from a file, with new weights.
pub(crate) fn load_model_json(path: &Path, registry: &Registry) -> Result<Model> {
    let format = |problem: String| Error::Format { path: path.to_owned(), problem };
    let bytes = read(path)?;
    if bytes.is_empty() {
        return Err(format("expected a model as JSON, found an empty file".to_owned()));
    }
    if let Some(problem) = other_files::instead_of_json(&bytes) {
        return Err(format(problem.to_owned()));
    }
    let json = serde_json::from_slice(&bytes).map_err(|error| format(error.to_string()))?;
    let model = Model::of(model_json::from_json(&json, registry).map_err(format)?);
    model.output_shape()?;
    Ok(model)
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
