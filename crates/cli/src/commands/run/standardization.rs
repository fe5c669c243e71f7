//! The statistics with which `--augment` standardizes, computed from the training samples and saved beside `run.json`.

use std::path::Path;

use kiln::augmentation::{Augmentation, Features};
use kiln::data::Dataset;
use kiln::graph::Shape;

use super::Run;
use crate::commands::augment;
use crate::error::Error;
use crate::tensors;

/// Contains `centre` and `divisor` `[values of a sample]`, and optionally the matrix `whitening`.
const FILE: &str = "standardization.safetensors";

/// Writes an augmentation's statistics of the training samples to the folder of its run, if there are any.
pub fn save(folder: &Path, features: Option<&Features>) -> Result<(), Error> {
    let Some(Features { centre, divisor, whitening }) = features else { return Ok(()) };
    let values = centre.len();
    let mut found = vec![("centre", Shape::from([values]), &centre[..]), ("divisor", Shape::from([values]), divisor)];
    found.extend(whitening.as_ref().map(|matrix| ("whitening", Shape::from([values, values]), &matrix[..])));
    tensors::write_all(&folder.join(FILE), &found)
}

/// Reads the statistics written by [`save`].
pub fn load(folder: &Path) -> Result<Features, Error> {
    let mut found = tensors::read_all(&folder.join(FILE))?;
    let mut take = |name: &str| {
        let missing = || Error::Tensors { path: folder.join(FILE), problem: format!("expected a tensor {name}") };
        found.remove(name).ok_or_else(missing)
    };
    let (centre, divisor, whitening) = (take("centre")?, take("divisor")?, take("whitening").ok());
    let values = centre.len();
    if divisor.len() != values || whitening.as_ref().is_some_and(|matrix| matrix.len() != values * values) {
        let problem = format!("expected divisor [{values}] and whitening [{values}, {values}], as centre has {values}");
        return Err(Error::Tensors { path: folder.join(FILE), problem: problem + ", found others" });
    }
    Ok(Features { centre, divisor, whitening })
}

impl Run {
    /// Whether it standardizes with statistics of the training samples.
    pub(super) fn needs_features(&self) -> Result<bool, Error> {
        let Some(text) = &self.augment else { return Ok(false) };
        let Augmentation { featurewise_center, featurewise_std_normalization, zca_whitening, .. } =
            augment::parse(text)?;
        Ok(featurewise_center || featurewise_std_normalization || zca_whitening)
    }

    /// Standardizes samples as in training, without random transforms. They are scaled already.
    pub(super) fn standardized(&self, samples: Dataset) -> Result<Dataset, Error> {
        let samples = match self.preprocessing {
            Some(preprocessing) => samples.preprocess_input(preprocessing)?,
            None => samples,
        };
        let Some(text) = &self.augment else { return Ok(samples) };
        // Its `rescale` is the run's, which may be overridden.
        let augmentation = Augmentation { features: self.features.clone(), rescale: None, ..augment::parse(text)? };
        Ok(augmentation.standardize(&samples)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_found_is_read_again_if_it_fits_together() {
        let folder = tempfile::tempdir().unwrap();
        let whole =
            Features { centre: vec![0.5, 1.0], divisor: vec![2.0, 3.0], whitening: Some(vec![1.0, 0.0, 0.0, 1.0]) };
        let without = Features { whitening: None, ..whole.clone() };
        for features in [&whole, &without] {
            save(folder.path(), Some(features)).unwrap();
            assert_eq!(&load(folder.path()).unwrap(), features);
        }
        let damaged: [&[(&str, Shape, &[f32])]; 3] = [
            &[("centre", Shape::from([2]), &[0.0; 2]), ("divisor", Shape::from([1]), &[1.0])],
            &[("centre", Shape::from([2]), &[0.0; 2])],
            &[
                ("centre", Shape::from([1]), &[0.0]),
                ("divisor", Shape::from([1]), &[1.0]),
                ("whitening", Shape::from([2, 2]), &[1.0; 4]),
            ],
        ];
        for tensors in damaged {
            tensors::write_all(&folder.path().join(FILE), tensors).unwrap();
            assert!(load(folder.path()).unwrap_err().to_string().contains("standardization.safetensors: expected"));
        }
    }
}
