//! Saves models and weights, in the format that a name ends with.

use std::path::Path;

use super::{MODEL, WEIGHTS, make_folder, model_json, write_atomically};
use crate::weights::Weight;
use crate::{Error, Model, Result};

/// Writes a `.keras`, `.h5` or `.onnx` file, or both files of a folder.
pub(crate) fn save(model: &Model, path: &Path) -> Result<()> {
    let expected = "a folder, or a file that ends with `.keras`, `.h5` or `.onnx`";
    let wrong = |expected: String| Error::Argument { name: "path", expected, found: path.display().to_string() };
    match ending(path).as_deref() {
        Some("keras") => return save_keras(model, path),
        Some("onnx") => return save_onnx(model, path),
        Some("h5" | "hdf5") if is_of_weights(path) => {
            return Err(wrong(format!("{expected}; `Model::save_weights` writes weights as `.weights.h5`")));
        }
        Some("h5" | "hdf5") => return save_h5(model, path),
        Some("json" | "safetensors") => return Err(wrong(expected.to_owned())),
        _ => {}
    }
    let weights = model.get_weights()?;
    let json = json_text(model)?;
    make_folder(path)?;
    write_atomically(&path.join(MODEL), json.as_bytes())?;
    super::tensors::save_weights(&path.join(WEIGHTS), &weights)
}

/// The text of `model.json`.
pub(crate) fn json_text(model: &Model) -> Result<String> {
    let json = model_json::to_json(model.network())?;
    serde_json::to_string_pretty(&json)
        .map_err(|error| Error::Format { path: MODEL.into(), problem: error.to_string() })
}

/// Writes weights to a file of safetensors, or of Keras 3's `.weights.h5`.
pub(crate) fn save_weights(model: &Model, path: &Path, weights: &[Weight]) -> Result<()> {
    let is_keras3 = is_of_weights(path);
    match ending(path).as_deref() {
        Some("h5" | "hdf5" | "keras" | "json" | "onnx") if !is_keras3 => {
            let expected = "a name that ends with `.safetensors`, or `.weights.h5` as in Keras 3".to_owned();
            Err(Error::Argument { name: "path", expected, found: path.display().to_string() })
        }
        _ if is_keras3 => write_atomically(path, &hdf5(model, path, weights)?),
        _ => super::tensors::save_weights(path, weights),
    }
}

/// Whether a file's name ends as those of Keras 3's weights.
fn is_of_weights(path: &Path) -> bool {
    path.to_string_lossy().to_lowercase().ends_with(".weights.h5")
}

/// The ending of a file's name in lower case; `None` for a folder.
fn ending(path: &Path) -> Option<String> {
    let ending = path.extension().filter(|_| !path.is_dir())?;
    Some(ending.to_string_lossy().to_lowercase())
}

#[cfg(feature = "hdf5")]
fn save_keras(model: &Model, path: &Path) -> Result<()> {
    let json = json_text(model)?;
    super::archive::write(path, &json, &hdf5(model, path, &model.get_weights()?)?)
}

#[cfg(feature = "hdf5")]
fn save_h5(model: &Model, path: &Path) -> Result<()> {
    let (json, values) = (json_text(model)?, joined(&model.get_weights()?));
    write_atomically(path, &super::hdf5::model_file(model.network(), &json, &values, path)?)
}

#[cfg(feature = "hdf5")]
fn hdf5(model: &Model, path: &Path, weights: &[Weight]) -> Result<Vec<u8>> {
    super::hdf5::weights_file(model.network(), &joined(weights), path)
}

/// All values, in the order of the weights.
#[cfg(feature = "hdf5")]
fn joined(weights: &[Weight]) -> Vec<f32> {
    weights.iter().flat_map(|weight| weight.values.iter().copied()).collect()
}

#[cfg(feature = "onnx")]
fn save_onnx(model: &Model, path: &Path) -> Result<()> {
    super::onnx::save(model, path)
}

#[cfg(not(feature = "onnx"))]
fn save_onnx(_: &Model, path: &Path) -> Result<()> {
    Err(super::weight_file::no_onnx(path))
}

#[cfg(not(feature = "hdf5"))]
fn save_keras(_: &Model, path: &Path) -> Result<()> {
    Err(super::weight_file::no_hdf5(path, "a `.keras` file"))
}

#[cfg(not(feature = "hdf5"))]
fn save_h5(_: &Model, path: &Path) -> Result<()> {
    Err(super::weight_file::no_hdf5(path, "an HDF5 file"))
}

#[cfg(not(feature = "hdf5"))]
fn hdf5(_: &Model, path: &Path, _: &[Weight]) -> Result<Vec<u8>> {
    Err(super::weight_file::no_hdf5(path, "an HDF5 file"))
}
