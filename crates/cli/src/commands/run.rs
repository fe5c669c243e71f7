//! `run.json`: what a training was asked for and how it ended, beside the model.

use std::io::Write;
use std::path::Path;

use kiln::Loss;
use kiln::augmentation::Augmentation;
use kiln::data::{Dataset, Labels, Preprocessing};
use serde::{Deserialize, Serialize};

use super::augment;
use super::train::Training;

use crate::error::Error;
use crate::files;

/// The file's name in a folder.
pub const FILE: &str = "run.json";

/// A training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The model's name.
    pub model: String,
    /// What `--data` said.
    pub data: String,
    /// The names of the classes, none where they are numbers.
    pub classes: Vec<String>,
    /// What values were multiplied by, and what was then added, before the model saw them.
    pub rescale: [f32; 2],
    /// What photographs went through instead, if the model is a backbone.
    pub preprocessing: Option<Preprocessing>,
    /// The device's name.
    pub device: String,
    /// How weights were changed.
    pub optimizer: String,
    /// Samples per step.
    pub batch_size: usize,
    /// The share of the training samples that was validated with.
    pub validation_split: f64,
    /// What `--augment` said.
    pub augment: Option<String>,
    /// What `--reduce-lr-on-plateau` said.
    pub reduce_lr_on_plateau: Option<String>,
    /// What `--class-weight` said.
    pub class_weight: Vec<String>,
    /// What weights and order depend on.
    pub seed: u64,
    /// What `kiln train` was asked for, so that `--resume` can go on with it.
    pub training: Option<Training>,
    /// The loss of the test samples, unless training was stopped.
    pub test_loss: Option<f64>,
    /// The share of the test samples whose class was the most probable one, unless training was stopped.
    pub test_accuracy: Option<f64>,
}

impl Default for Run {
    /// What is taken for granted of a model that no run is known of: bytes of images that it saw divided by 255.
    fn default() -> Run {
        Run {
            model: String::new(),
            data: String::new(),
            classes: Vec::new(),
            rescale: [1.0 / 255.0, 0.0],
            preprocessing: None,
            device: String::new(),
            optimizer: String::new(),
            batch_size: 0,
            validation_split: 0.0,
            augment: None,
            reduce_lr_on_plateau: None,
            class_weight: Vec::new(),
            seed: 0,
            training: None,
            test_loss: None,
            test_accuracy: None,
        }
    }
}

/// The loss for these labels where none is named.
pub fn usual_loss(data: &Dataset) -> Loss {
    match data.labels() {
        Labels::Index { .. } => Loss::SparseCategoricalCrossentropy,
        Labels::Values { .. } => Loss::CategoricalCrossentropy,
    }
}

impl Run {
    /// Samples as the model saw them. What an augmentation knows of the training samples is found again in `train`.
    pub fn standardized(&self, samples: Dataset, train: Option<&Dataset>) -> Result<Dataset, Error> {
        if let Some(preprocessing) = self.preprocessing {
            return Ok(samples.preprocess_input(preprocessing)?);
        }
        let Some(text) = &self.augment else { return Ok(samples) };
        let mut augmentation: Augmentation = augment::parse(text)?;
        if let Some(train) = train {
            augmentation = augmentation.fit(&train.split(self.validation_split).0)?;
        }
        Ok(augmentation.standardize(&samples)?)
    }

    /// Writes `run.json` into a folder.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(|source| Error::Json { path: path.clone(), source })?;
        let mut staged = files::stage(&path)?;
        staged.write_all(text.as_bytes()).map_err(Error::file("write", &path))?;
        files::publish(staged, &path)
    }

    /// Reads the `run.json` of a folder, if there is one.
    pub fn load(folder: &Path) -> Result<Option<Run>, Error> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        serde_json::from_str(&text).map(Some).map_err(|source| Error::Json { path, source })
    }
}
