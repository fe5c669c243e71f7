//! `run.json`: the configuration and results of a training, beside the model: all that is needed to evaluate the model,
//! to predict with it and to resume its training.

mod classes;
mod input;
mod loss;
mod names;
mod outcome;
mod scale;
mod standardization;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln::augmentation::Features;
use kiln::data::{ColorMode, Interpolation, Preprocessing};
use kiln::losses::{Loss, MeanSquaredError, SparseCategoricalCrossentropy};
use kiln::metrics::Metric;
use kiln::{Model, Precision};
use serde::{Deserialize, Serialize};

pub use input::{DType, image_of};
pub use loss::loss_with;
pub use outcome::{Outcome, usual_loss, usual_metrics};
pub use scale::Rescale;

use super::network::{self, Known};
use super::train::Training;
use crate::error::Error;
use crate::files;

/// The file's name in a folder.
pub const FILE: &str = "run.json";

/// A training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The model's name.
    pub model: String,
    /// The value of `--data`.
    pub data: String,
    /// The number of training samples, including the validation set.
    pub samples: usize,
    /// The names of the classes in the order of the model's outputs; empty if classes are numbers.
    pub classes: Vec<String>,
    /// The type of the samples' values.
    pub dtype: DType,
    /// Height and width of the images in pixels, if samples are images.
    pub image_size: Option<[usize; 2]>,
    /// The channels of the images, if samples are images.
    pub color_mode: Option<ColorMode>,
    /// The interpolation of resized pictures.
    pub interpolation: Interpolation,
    /// The scale and offset of the values that the model saw.
    pub rescale: Rescale,
    /// The preprocessing used instead, if the model is a backbone.
    pub preprocessing: Option<Preprocessing>,
    /// The value of `--augment`.
    pub augment: Option<String>,
    /// The augmentation's statistics of the training samples, if it uses any. In a file of its own.
    #[serde(skip)]
    pub features: Option<Arc<Features>>,
    /// The loss of the training: its name, and whether the outputs are logits.
    #[serde(flatten, with = "loss")]
    pub loss: Arc<dyn Loss>,
    /// The metrics.
    #[serde(with = "names")]
    pub metrics: Vec<Arc<dyn Metric>>,
    /// The device's name.
    pub device: String,
    /// The optimizer.
    pub optimizer: String,
    /// The batch size.
    pub batch_size: usize,
    /// The number of shards of each batch.
    pub accumulate: usize,
    /// The precision of matrix products and convolutions.
    pub precision: Precision,
    /// The share of the training samples used for validation.
    pub validation_split: f64,
    /// The value of `--reduce-lr-on-plateau`.
    pub reduce_lr_on_plateau: Option<String>,
    /// The values of `--class-weight`.
    pub class_weight: Vec<String>,
    /// The random seed.
    pub seed: u64,
    /// The arguments of `kiln train`, for `--resume`.
    pub training: Option<Training>,
    /// The test loss, unless training was stopped.
    pub test_loss: Option<f64>,
    /// The test accuracy, unless training was stopped.
    pub test_accuracy: Option<f64>,
}

impl Default for Run {
    /// The default values.
    fn default() -> Run {
        Run {
            model: String::new(),
            data: String::new(),
            samples: 0,
            classes: Vec::new(),
            dtype: DType::UInt8,
            image_size: None,
            color_mode: None,
            interpolation: Interpolation::Nearest,
            rescale: Rescale::TO_1,
            preprocessing: None,
            augment: None,
            features: None,
            loss: SparseCategoricalCrossentropy::default().into(),
            metrics: Vec::new(),
            device: String::new(),
            optimizer: String::new(),
            batch_size: 0,
            accumulate: 1,
            precision: Precision::Float32,
            validation_split: 0.0,
            reduce_lr_on_plateau: None,
            class_weight: Vec::new(),
            seed: 0,
            training: None,
            test_loss: None,
            test_accuracy: None,
        }
    }
}

impl Run {
    /// The defaults for a model without a run: pictures are divided by 255 unless it scales them itself, resized as by
    /// Keras' `load_img`, and its outputs are probabilities, or a regression if it has one output.
    pub fn unknown(model: &Model) -> Run {
        let rescale = if model.rescales_input().is_some() { Rescale::NONE } else { Rescale::TO_1 };
        let (image_size, color_mode) = input::image_of(model.input_shape());
        let known = Run { rescale, image_size, color_mode, ..Run::default() };
        match model.output_shape() {
            Ok(shape) if shape.elements() == 1 => Run { loss: MeanSquaredError.into(), ..known },
            _ => known,
        }
    }

    /// Writes `run.json` to a folder.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        standardization::save(folder, self.features.as_deref())?;
        let path = file(folder);
        let text = serde_json::to_string_pretty(self).map_err(|source| Error::Json { path: path.clone(), source })?;
        let mut staged = files::stage(&path)?;
        staged.write_all(text.as_bytes()).map_err(Error::file("write", &path))?;
        files::publish(staged, &path)
    }

    /// Reads the `run.json` of a folder, if there is one.
    pub fn load(folder: &Path) -> Result<Option<Run>, Error> {
        let path = file(folder);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let run: Run = serde_json::from_str(&text).map_err(|source| Error::Json { path, source })?;
        let features = run.needs_features()?.then(|| standardization::load(folder)).transpose()?;
        Ok(Some(Run { features: features.map(Arc::new), ..run }))
    }

    /// The run of a model, named as on the command line: a folder or its model.json.
    pub fn of_model(name: &str) -> Result<Option<Run>, Error> {
        match (Known::named(name), network::file(Path::new(name))) {
            (None, Some(path)) => Run::load(path.parent().unwrap_or(Path::new("."))),
            _ => Ok(None),
        }
    }

    /// The run and the model in a folder.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the two contradict each other.
    pub fn load_with_model(folder: &Path) -> Result<(Run, Model), Error> {
        if !folder.join("model.json").is_file() {
            return Err(no_run(folder));
        }
        let run = Run::load(folder)?.ok_or_else(|| Error::NoRunFile { folder: folder.to_owned() })?;
        let model = Model::load(folder)?;
        run.check_model(folder, &model)?;
        Ok((run, model))
    }
}

/// The error for a run without a model: a file of another kind, a training in its first epoch, or something else.
pub fn no_run(found: &Path) -> Error {
    if file(found).is_file() {
        return Error::Unfinished { folder: found.to_owned() };
    }
    match found.is_file().then(|| Model::from_json_file(found)) {
        Some(Err(error)) => error.into(),
        _ => Error::NoRun { found: found.to_owned() },
    }
}

/// The path of `run.json` in a folder.
pub fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use serde_json::{Value, json};

    use super::*;

    /// A run of a network for two classes of small grey pictures.
    pub(super) fn run() -> Run {
        serde_json::from_value(written()).unwrap()
    }

    fn written() -> Value {
        json!({
            "model": "m", "data": "photos", "samples": 8, "classes": ["cat", "dog"], "dtype": "uint8",
            "image_size": [4, 6], "color_mode": "grayscale", "interpolation": "bilinear", "rescale": [0.5, -1.0],
            "preprocessing": null, "augment": null, "reduce_lr_on_plateau": null, "class_weight": [], "training": null, "loss": "binary_crossentropy", "from_logits": true, "label_smoothing": 0.25,
            "metrics": ["binary_accuracy", "top_k_categorical_accuracy:3"], "device": "d", "optimizer": "o",
            "batch_size": 2, "accumulate": 4, "precision": "mixed", "validation_split": 0.25, "seed": 7, "test_loss": 0.5, "test_accuracy": null,
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Run::load(folder.path()).unwrap().is_none());
        run().save(folder.path()).unwrap();
        let read = Run::load(folder.path()).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", run()));
        assert_eq!(serde_json::to_value(run()).unwrap(), written());
    }

    #[test]
    fn a_member_that_is_missing_or_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = |change: &dyn Fn(&mut Value)| {
            let mut value = written();
            change(&mut value);
            std::fs::write(file(folder.path()), value.to_string()).unwrap();
            crate::error::chain(&Run::load(folder.path()).unwrap_err())
        };
        for name in [
            "loss",
            "from_logits",
            "label_smoothing",
            "metrics",
            "classes",
            "rescale",
            "interpolation",
            "dtype",
            "data",
        ] {
            let text = error(&|value| drop(value.as_object_mut().unwrap().remove(name)));
            assert!(text.contains("run.json") && text.contains(&format!("missing field `{name}`")), "{text}");
        }
        let text = error(&|value| value["loss"] = "hinge".into());
        assert!(text.contains("run.json") && text.contains("found `hinge`"), "{text}");
        let text = error(&|value| value["interpolation"] = "linear".into());
        assert!(text.contains("unknown variant `linear`"), "{text}");
    }
}
