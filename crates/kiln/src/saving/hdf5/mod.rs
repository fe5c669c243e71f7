//! Keras' HDF5 files: weights in several formats ([`tree`]), and the architecture of whole models of Keras 1 and 2.

mod matching;
mod names;
mod tree;
mod write;
mod write_model;

use std::path::{Path, PathBuf};

use half::f16;
use hdf5_reader::{Dataset, Datatype, Hdf5File};
use serde_json::Value;

pub(super) use write::weights_file;
pub(super) use write_model::model_file;

use super::weight_file::Candidate;
use crate::network::Network;
use crate::{Error, Result};

type Hdf5Result<T> = std::result::Result<T, hdf5_reader::error::Error>;

/// The data sets of a file's weights.
pub(crate) struct Hdf5Weights {
    path: PathBuf,
    datasets: Vec<Dataset>,
}

impl Hdf5Weights {
    /// Opens a file, and matches its weights with the variables of a model.
    ///
    /// # Errors
    /// If the file cannot be read or is not Keras', or the order of its layers contradicts their names.
    pub fn open(path: &Path, network: &Network, by_name: bool) -> Result<(Hdf5Weights, Vec<Candidate>)> {
        let file = Hdf5File::open(path).map_err(|error| format_error(path, error.to_string()))?;
        Hdf5Weights::of(&file, path, network, by_name)
    }

    /// [`Hdf5Weights::open`] for a file in memory, a member of the archive at this path.
    ///
    /// # Errors
    /// As [`Hdf5Weights::open`].
    pub fn of_bytes(
        bytes: Vec<u8>,
        path: &Path,
        network: &Network,
        by_name: bool,
    ) -> Result<(Hdf5Weights, Vec<Candidate>)> {
        let file = Hdf5File::from_vec(bytes).map_err(|error| format_error(path, error.to_string()))?;
        Hdf5Weights::of(&file, path, network, by_name)
    }

    fn of(file: &Hdf5File, path: &Path, network: &Network, by_name: bool) -> Result<(Hdf5Weights, Vec<Candidate>)> {
        let format = |problem: String| format_error(path, problem);
        let failed = |error: hdf5_reader::error::Error| format(error.to_string());
        if tree::backend(file).map_err(failed)?.as_deref() == Some("theano") {
            let expected = "backend: expected tensorflow, found theano, whose convolution kernels are flipped";
            return Err(format(format!("{expected}; load and save the weights with Keras 2.3 on TensorFlow first")));
        }
        let Some(layers) = tree::layers(file).map_err(failed)? else {
            let expected = "expected Keras' weights (an attribute `layer_names` or a group `layers`), found neither";
            return Err(format(expected.to_owned()));
        };
        let matched = matching::matched(layers, network, by_name).map_err(format)?;
        let (candidates, datasets) = matched.into_iter().unzip();
        Ok((Hdf5Weights { path: path.to_owned(), datasets }, candidates))
    }

    /// Reads a data set to a slice of the same size.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, place: usize, out: &mut [f32]) -> Result<()> {
        let format = |problem: String| format_error(&self.path, problem);
        let dataset = self.datasets.get(place).ok_or_else(|| format(format!("it has no data set {place}")))?;
        let failed = |error: hdf5_reader::error::Error| format(error.to_string());
        match dataset.dtype() {
            Datatype::FloatingPoint { size: 2, .. } => {
                let bytes = dataset.read_native_bytes().map_err(failed)?;
                for (value, bytes) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *value = f16::from_ne_bytes([bytes[0], bytes[1]]).to_f32();
                }
            }
            Datatype::FixedPoint { size: 4, .. } => {
                let mut integers = vec![0i32; out.len()];
                dataset.read_into(&mut integers).map_err(failed)?;
                out.iter_mut().zip(integers).for_each(|(value, integer)| *value = integer as f32);
            }
            Datatype::FixedPoint { .. } => {
                let mut integers = vec![0i64; out.len()];
                dataset.read_into(&mut integers).map_err(failed)?;
                out.iter_mut().zip(integers).for_each(|(value, integer)| *value = integer as f32);
            }
            _ => dataset.read_into(out).map_err(failed)?,
        }
        Ok(())
    }
}

/// The architecture of a whole model in Keras' legacy format.
///
/// # Errors
/// If the file cannot be read or has weights only.
pub(super) fn model_config(path: &Path) -> Result<Value> {
    let format = |problem: String| format_error(path, problem);
    let failed = |error: hdf5_reader::error::Error| format(error.to_string());
    let root = Hdf5File::open(path).and_then(|file| file.root_group()).map_err(failed)?;
    let text = |name: &str| Ok(tree::names(&root, name)?.and_then(|names| names.into_iter().next()));
    let Some(config) = text("model_config").map_err(failed)? else {
        let expected = "expected a whole model (an attribute `model_config`), found weights only or something else";
        return Err(format(format!(
            "{expected}; load weights with `Model::load_weights` into the model that they belong to"
        )));
    };
    let mut json: Value = serde_json::from_str(&config).map_err(|error| format(format!("model_config: {error}")))?;
    if let (Some(members), Some(version)) = (json.as_object_mut(), text("keras_version").map_err(failed)?) {
        members.entry("keras_version").or_insert(version.into());
    }
    Ok(json)
}

/// The variables of the optimizer in the weights of a `.keras` file, in order: those of Keras' `optimizer.variables`.
///
/// # Errors
/// If the file cannot be read or has no optimizer, or one with more than `most` values.
pub(super) fn optimizer_variables(bytes: Vec<u8>, path: &Path, most: u64) -> Result<Vec<Vec<f64>>> {
    let failed = |error: hdf5_reader::error::Error| format_error(path, error.to_string());
    let root = Hdf5File::from_vec(bytes).and_then(|file| file.root_group()).map_err(failed)?;
    let optimizer = tree::child(&root, &["optimizer"]).map_err(failed)?;
    let variables =
        optimizer.map(|optimizer| tree::child(&optimizer, &["vars"])).transpose().map_err(failed)?.flatten();
    let missing = || format_error(path, "expected the state of an optimizer, found none".to_owned());
    let mut datasets = variables.ok_or_else(missing)?.datasets().map_err(failed)?;
    datasets.sort_by_key(|dataset| dataset.name().parse().unwrap_or(usize::MAX));
    let mut left = most;
    let values = |dataset: &Dataset| -> Result<Vec<f64>> {
        let elements = dataset.num_elements().map_err(failed)?;
        let more = || {
            let expected = format!("expected at most {most} values of an optimizer for the model, found more");
            format_error(path, format!("optimizer/vars/{}: {expected}", dataset.name()))
        };
        left = left.checked_sub(elements).ok_or_else(more)?;
        match dataset.dtype() {
            Datatype::FixedPoint { size: 4, signed: true, .. } => {
                let mut values = vec![0i32; elements as usize];
                dataset.read_into(&mut values).map_err(failed)?;
                Ok(values.into_iter().map(f64::from).collect())
            }
            Datatype::FixedPoint { size: 8, signed: true, .. } => {
                let mut values = vec![0i64; elements as usize];
                dataset.read_into(&mut values).map_err(failed)?;
                Ok(values.into_iter().map(|value| value as f64).collect())
            }
            _ => {
                let mut values = vec![0f32; elements as usize];
                dataset.read_into(&mut values).map_err(failed)?;
                Ok(values.into_iter().map(f64::from).collect())
            }
        }
    };
    datasets.iter().map(values).collect()
}

fn format_error(path: &Path, problem: String) -> Error {
    Error::Format { path: path.to_owned(), problem }
}
