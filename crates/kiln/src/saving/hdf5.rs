//! Weights in Keras' HDF5 files, in two formats:
//!
//! - Keras 3's `.weights.h5`: `layers/conv2d_4/vars/0`, with groups numbered by class in the order of the model's
//!   layers, and the layer's own name as an attribute of `vars` in later versions.
//! - Keras 1's and 2's, in which `layer_names` lists groups in that order, and each group's `weight_names` its data
//!   sets, at the root in weight files, in `model_weights` in model files. The names of the data sets have changed
//!   often, their order has not.

use std::path::{Path, PathBuf};

use half::f16;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File};

use super::keras_names;
use super::tensors::KernelLayout;
use super::weight_file::Candidate;
use crate::network::Network;
use crate::{Error, Result};

type Hdf5Result<T> = std::result::Result<T, hdf5_reader::error::Error>;

/// The data sets of a file's weights.
pub(crate) struct Hdf5Weights {
    path: PathBuf,
    datasets: Vec<Dataset>,
}

/// The weights of a layer in a file, in Keras' order.
struct FileLayer {
    name: String,
    datasets: Vec<Dataset>,
}

impl Hdf5Weights {
    /// Opens a file, and matches its weights with the variables of a model.
    ///
    /// # Errors
    /// If the file cannot be read or is not Keras', or the order of its layers contradicts their names.
    pub fn open(path: &Path, network: &Network, by_name: bool) -> Result<(Hdf5Weights, Vec<Candidate>)> {
        let format = |problem: String| Error::Format { path: path.to_owned(), problem };
        let failed = |error: hdf5_reader::error::Error| format(error.to_string());
        let file = Hdf5File::open(path).map_err(failed)?;
        if backend(&file).map_err(failed)?.as_deref() == Some("theano") {
            let expected = "backend: expected tensorflow, found theano, whose convolution kernels are flipped";
            return Err(format(format!("{expected}; load and save the weights with Keras 2.3 on TensorFlow first")));
        }
        let Some(layers) = layers(&file, network).map_err(failed)? else {
            let expected = "expected Keras' weights (an attribute `layer_names` or a group `layers`), found neither";
            return Err(format(expected.to_owned()));
        };
        let names = keras_names::in_model(layers.iter().map(|layer| layer.name.as_str()), network, by_name);
        let names = names.map_err(format)?;
        let (mut candidates, mut datasets) = (Vec::new(), Vec::new());
        for (layer, name) in layers.into_iter().zip(names) {
            let placed = network.layers.iter().find(|placed| placed.name == name);
            let variables = placed.map(|placed| &network.variables[placed.variables.clone()]).unwrap_or_default();
            let fits = variables.len() == layer.datasets.len();
            for (index, dataset) in layer.datasets.into_iter().enumerate() {
                let variable = variables.get(index).filter(|_| fits).map(|variable| variable.name.clone());
                candidates.push(Candidate {
                    name: variable.unwrap_or_else(|| format!("{name}/{}", own_name(dataset.name()))),
                    shape: dataset.shape().iter().map(|&extent| extent as usize).collect::<Vec<_>>().into(),
                    place: datasets.len(),
                    layout: KernelLayout::Keras,
                    scale: None,
                    unread: unread(&dataset),
                });
                datasets.push(dataset);
            }
        }
        Ok((Hdf5Weights { path: path.to_owned(), datasets }, candidates))
    }

    /// Reads a data set to a slice of the same size.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, place: usize, out: &mut [f32]) -> Result<()> {
        let format = |problem: String| Error::Format { path: self.path.clone(), problem };
        let dataset = self.datasets.get(place).ok_or_else(|| format(format!("it has no data set {place}")))?;
        let failed = |error: hdf5_reader::error::Error| format(error.to_string());
        match dataset.dtype() {
            Datatype::FloatingPoint { size: 2, .. } => {
                let bytes = dataset.read_native_bytes().map_err(failed)?;
                for (value, bytes) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *value = f16::from_ne_bytes([bytes[0], bytes[1]]).to_f32();
                }
            }
            Datatype::FixedPoint { .. } => {
                let bytes = dataset.read_native_bytes().map_err(failed)?;
                for (value, bytes) in out.iter_mut().zip(bytes.chunks_exact(bytes.len().max(1))) {
                    *value = integer(bytes);
                }
            }
            _ => dataset.read_into(out).map_err(failed)?,
        }
        Ok(())
    }
}

/// The value of a signed integer's native bytes.
fn integer(bytes: &[u8]) -> f32 {
    match *bytes {
        [a, b, c, d] => i32::from_ne_bytes([a, b, c, d]) as f32,
        [a, b, c, d, e, f, g, h] => i64::from_ne_bytes([a, b, c, d, e, f, g, h]) as f32,
        _ => 0.0,
    }
}

/// The layers with weights of a file in either format.
fn layers(file: &Hdf5File, network: &Network) -> Hdf5Result<Option<Vec<FileLayer>>> {
    let root = file.root_group()?;
    let layers = if has(&root, "layers")? {
        keras3(&root.group("layers")?, network)?
    } else {
        let group = keras2_group(file)?;
        let Some(names) = names(&group, "layer_names")? else { return Ok(None) };
        let layers: Hdf5Result<Vec<FileLayer>> = names.into_iter().map(|name| keras2(&group, name)).collect();
        layers?
    };
    Ok(Some(layers.into_iter().filter(|layer| !layer.datasets.is_empty()).collect()))
}

fn has(group: &Group, name: &str) -> Hdf5Result<bool> {
    Ok(group.member_names()?.0.iter().any(|group| group == name))
}

/// The group in which Keras 1 and 2 list layers.
fn keras2_group(file: &Hdf5File) -> Hdf5Result<Group> {
    let root = file.root_group()?;
    if has(&root, "model_weights")? { root.group("model_weights") } else { Ok(root) }
}

/// The backend of a file of Keras 1 or 2.
fn backend(file: &Hdf5File) -> Hdf5Result<Option<String>> {
    Ok(names(&keras2_group(file)?, "backend")?.and_then(|names| names.into_iter().next()))
}

fn keras3(layers: &Group, network: &Network) -> Hdf5Result<Vec<FileLayer>> {
    let counted = keras_names::counted_by_class(network);
    // Numbers within a class follow the order of the model's layers.
    let mut groups = layers.groups()?;
    groups.sort_by(|a, b| keras_names::split(a.name()).cmp(&keras_names::split(b.name())));
    let layer = |group: Group| {
        let Some(variables) = group.groups()?.into_iter().find(|group| group.name() == "vars") else {
            return Ok(FileLayer { name: group.name().to_owned(), datasets: Vec::new() });
        };
        let own_name = names(&variables, "name")?.and_then(|names| names.into_iter().next());
        let name = own_name.or_else(|| counted.get(group.name()).map(|&name| name.to_owned()));
        let mut datasets = variables.datasets()?;
        datasets.sort_by_key(|dataset| dataset.name().parse().unwrap_or(usize::MAX));
        Ok(FileLayer { name: name.unwrap_or_else(|| group.name().to_owned()), datasets })
    };
    groups.into_iter().map(layer).collect()
}

/// A layer's group and its data sets.
fn keras2(group: &Group, name: String) -> Hdf5Result<FileLayer> {
    let group = group.group(&name)?;
    let names = names(&group, "weight_names")?.unwrap_or_default();
    let datasets: Hdf5Result<Vec<Dataset>> = names.iter().map(|name| dataset(&group, name)).collect();
    Ok(FileLayer { name, datasets: datasets? })
}

/// A data set in a group, by its path with `/`.
fn dataset(group: &Group, path: &str) -> Hdf5Result<Dataset> {
    match path.split_once('/') {
        Some((first, rest)) => dataset(&group.group(first)?, rest),
        None => group.dataset(path),
    }
}

/// The names in an attribute, or in several, `name0`, `name1`, …, if they are too long for one.
fn names(group: &Group, name: &str) -> Hdf5Result<Option<Vec<String>>> {
    let attributes = group.attributes()?;
    let list = |name: &str| {
        let attribute = attributes.iter().find(|attribute| attribute.name == name)?;
        // An empty list has a number type.
        Some(
            attribute
                .num_elements()
                .and_then(|count| if count == 0 { Ok(Vec::new()) } else { attribute.read_strings() }),
        )
    };
    if let Some(names) = list(name) {
        return names.map(Some);
    }
    let parts: Hdf5Result<Vec<Vec<String>>> = (0..).map_while(|part| list(&format!("{name}{part}"))).collect();
    Ok(Some(parts?.concat()).filter(|names| !names.is_empty()))
}

/// The own name of a data set: `kernel` of `conv2d/kernel:0`.
fn own_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(":0").unwrap_or(name)
}

/// The element type, if it is unsupported. Integers are only counters, as of `Normalization`.
fn unread(dataset: &Dataset) -> Option<String> {
    match dataset.dtype() {
        Datatype::FloatingPoint { size: 2 | 4, .. } => None,
        Datatype::FixedPoint { size: 4 | 8, signed: true, .. } if dataset.shape().is_empty() => None,
        Datatype::FloatingPoint { size, .. } => Some(format!("F{}", 8 * u32::from(*size))),
        Datatype::FixedPoint { size, signed, .. } => {
            Some(format!("{}{}", if *signed { 'I' } else { 'U' }, 8 * u32::from(*size)))
        }
        other => Some(format!("{other:?}")),
    }
}
