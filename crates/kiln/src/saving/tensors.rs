//! Weights as a safetensors file, with keys `layer/variable`.

use std::collections::HashMap;
use std::path::Path;

use kiln_graph::Shape;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{read, write_atomically};
use crate::weights::Weight;
use crate::{Error, Result, WeightsError};

/// What a safetensors file holds.
pub(crate) struct TensorFile {
    pub tensors: Vec<Weight>,
    pub metadata: HashMap<String, String>,
}

/// Writes weights into a file.
pub(crate) fn save_weights(path: &Path, weights: &[Weight]) -> Result<()> {
    write_tensors(path, weights, None)
}

/// Reads all weights of a file. `model` is named if some are of a type that is not read.
pub(crate) fn load_weights(path: &Path, model: &str) -> Result<Vec<Weight>> {
    read_tensors(path, model).map(|file| file.tensors)
}

/// Writes tensors and metadata into a file.
pub(crate) fn write_tensors(path: &Path, weights: &[Weight], metadata: Option<HashMap<String, String>>) -> Result<()> {
    let format =
        |error: safetensors::SafeTensorError| Error::Format { path: path.to_owned(), problem: error.to_string() };
    let bytes: Vec<Vec<u8>> =
        weights.iter().map(|weight| weight.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let mut views = Vec::with_capacity(weights.len());
    for (weight, bytes) in weights.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, weight.shape.to_vec(), bytes).map_err(format)?;
        views.push((weight.name.as_str(), view));
    }
    let file = safetensors::serialize(views, metadata).map_err(format)?;
    write_atomically(path, &file)
}

/// Reads the tensors and metadata of a file. `model` is named if some tensors are of a type that is not read.
pub(crate) fn read_tensors(path: &Path, model: &str) -> Result<TensorFile> {
    let bytes = read(path)?;
    let format = |error: safetensors::SafeTensorError| {
        let problem = format!("expected a safetensors file, found something else ({error})");
        Error::Format { path: path.to_owned(), problem }
    };
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let mut error = WeightsError::new(model, &path.display().to_string());
    let mut weights = Vec::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            error.mistyped.push((name.to_owned(), view.dtype().to_string()));
            continue;
        }
        let values = view.data().chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap_or_default()));
        weights.push(Weight { name: name.to_owned(), shape: Shape::from(view.shape()), values: values.collect() });
    }
    error.mistyped.sort();
    let metadata = header.metadata().clone().unwrap_or_default();
    if error.is_empty() { Ok(TensorFile { tensors: weights, metadata }) } else { Err(error.into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn saved_weights_read_back_with_the_same_bits() {
        let path = tempfile::tempdir().unwrap().keep().join("w.safetensors");
        let values = vec![0.1, -0.0, f32::MIN_POSITIVE, f32::MAX, 1e-45, 3.0];
        let weights = vec![Weight { name: "a/kernel".to_owned(), shape: Shape::from([2, 3]), values }];
        save_weights(&path, &weights).unwrap();
        assert_eq!(load_weights(&path, "m").unwrap(), weights);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_truncated_file_and_another_element_type_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        std::fs::write(&path, [9, 0, 0]).unwrap();
        let error = load_weights(&path, "m").unwrap_err().to_string();
        assert!(error.contains("w.safetensors: expected a safetensors file, found something else"), "{error}");

        let half = TensorView::new(Dtype::F16, vec![1], &[0, 0]).unwrap();
        std::fs::write(&path, safetensors::serialize([("a/bias", half)], None).unwrap()).unwrap();
        let error = load_weights(&path, "m").unwrap_err().to_string();
        assert!(error.ends_with("does not fit model `m`:\n  a/bias is F16, expected F32"), "{error}");
    }
}
