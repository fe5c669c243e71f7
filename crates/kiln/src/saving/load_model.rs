//! Loads whole models, whose format is detected by their contents.

use std::path::Path;

use kiln_graph::Shape;
use serde_json::Value;

use super::{MODEL, WEIGHTS, model_json, other_files, read, weight_file};
use crate::layers::Registry;
use crate::{Error, Model, Result};

/// Options of [`Model::load_with`] and [`Model::from_json_file_with`].
#[derive(Clone, Debug, Default)]
pub struct LoadModel {
    /// The classes of layers: Kiln's, and custom ones.
    pub registry: Registry,
    /// The shape of a sample, for a file that leaves height and width open (`None` in Keras). All other extents must be
    /// those of the file. Of the first input, if there are several.
    pub input_shape: Option<Shape>,
}

/// Reads a model from a folder or file.
pub(crate) fn load(path: &Path, options: &LoadModel) -> Result<Model> {
    if path.is_dir() || !path.exists() && path.extension().is_none() {
        return load_folder(path, options);
    }
    match &weight_file::first_bytes(path)? {
        [b'P', b'K', 3 | 5 | 7, ..] => whole(path, keras_config(path)?, options),
        b"\x89HDF\r\n\x1a\n" => whole(path, hdf5_config(path)?, options),
        bytes if is_onnx(path, bytes) => load_onnx(path, options),
        _ => {
            let problem = "expected a folder with a model.json, or a `.keras`, `.h5` or `.onnx` file of a whole model, found another \
                           file; load JSON with `Model::from_json_file`, and weights with `Model::load_weights`";
            Err(Error::Format { path: path.to_owned(), problem: problem.to_owned() })
        }
    }
}

/// A folder of Kiln's, or the unpacked form of a `.keras` file, as on the Hugging Face hub.
fn load_folder(folder: &Path, options: &LoadModel) -> Result<Model> {
    let names = match !folder.join(MODEL).exists() && folder.join("config.json").exists() {
        true => ["config.json", "model.weights.h5"],
        false => [MODEL, WEIGHTS],
    };
    let [model, weights] = names.map(|name| folder.join(name));
    let mut model = load_model_json(&model, options)?;
    model.load_weights(weights)?;
    Ok(model)
}

/// A model from a file with its weights.
fn whole(path: &Path, json: Value, options: &LoadModel) -> Result<Model> {
    let mut model = of_json(path, &json, options)?;
    model.load_weights(path)?;
    Ok(model)
}

/// Reads a model from a file of JSON, or the architecture from a file of a whole model, with new weights. ONNX files have no
/// architecture apart from their weights: they are loaded with them.
pub(crate) fn load_model_json(path: &Path, options: &LoadModel) -> Result<Model> {
    let format = |problem: String| Error::Format { path: path.to_owned(), problem };
    match &weight_file::first_bytes(path)? {
        [b'P', b'K', 3 | 5 | 7, ..] => return of_json(path, &keras_config(path)?, options),
        b"\x89HDF\r\n\x1a\n" => return of_json(path, &hdf5_config(path)?, options),
        bytes if is_onnx(path, bytes) => return load_onnx(path, options),
        _ => {}
    }
    let bytes = read(path)?;
    if bytes.is_empty() {
        return Err(format("expected a model as JSON, found an empty file".to_owned()));
    }
    if let Some(problem) = other_files::instead_of_json(&bytes) {
        return Err(format(problem.to_owned()));
    }
    of_json(path, &serde_json::from_slice(&bytes).map_err(|error| format(error.to_string()))?, options)
}

fn of_json(path: &Path, json: &Value, options: &LoadModel) -> Result<Model> {
    let reading = model_json::Reading { registry: &options.registry, input_shapes: options.input_shape.as_slice() };
    let network = model_json::from_json(json, reading);
    let model = Model::of(network.map_err(|problem| Error::Format { path: path.to_owned(), problem })?);
    model.output_shape()?;
    Ok(model)
}

/// ONNX files have no signature.
fn is_onnx(path: &Path, bytes: &[u8; 8]) -> bool {
    let is_named = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
    is_named || onnx_begins(bytes)
}

/// Whether a file begins as ONNX files do: with the version of the format, then the producer or another field of the model.
fn onnx_begins(bytes: &[u8; 8]) -> bool {
    matches!(bytes, [0x08, 1..=0x7f, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42 | 0x72, ..])
}

#[cfg(feature = "onnx")]
fn load_onnx(path: &Path, options: &LoadModel) -> Result<Model> {
    super::onnx::load(path, options.input_shape.as_ref())
}

#[cfg(not(feature = "onnx"))]
fn load_onnx(path: &Path, _: &LoadModel) -> Result<Model> {
    Err(weight_file::no_onnx(path))
}

#[cfg(feature = "hdf5")]
fn keras_config(path: &Path) -> Result<Value> {
    super::archive::config(path)
}

#[cfg(feature = "hdf5")]
fn hdf5_config(path: &Path) -> Result<Value> {
    super::hdf5::model_config(path)
}

#[cfg(not(feature = "hdf5"))]
fn keras_config(path: &Path) -> Result<Value> {
    Err(weight_file::no_hdf5(path, "a `.keras` file"))
}

#[cfg(not(feature = "hdf5"))]
fn hdf5_config(path: &Path) -> Result<Value> {
    Err(weight_file::no_hdf5(path, "an HDF5 file"))
}
