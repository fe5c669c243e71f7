//! Replays a training recorded from Keras, step by step: the same weights, the same batches.

use std::path::Path;

use kiln::data::{Dataset, Labels, idx};
use kiln::graph::Array;
use kiln::optimizers::Adam;
use kiln::{Compile, Device, Error, Fit, Model, Result, Weight};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::{Check, Outcome};

/// The tolerance of a loss, relative to it.
const ALLOWED_LOSS: f64 = 1e-3;
/// The tolerance of a weight or a prediction, relative to the largest of its variable: 20 steps of Adam amplify
/// rounding errors.
const ALLOWED: f64 = 2e-3;

/// The recording of LeNet with few filters, and the first images of MNIST.
const FILES: [(&str, &[u8]); 9] = [
    ("model.json", include_bytes!("../../fixtures/lenet_narrow_adam/model.json")),
    ("expected.json", include_bytes!("../../fixtures/lenet_narrow_adam/expected.json")),
    ("initial.safetensors", include_bytes!("../../fixtures/lenet_narrow_adam/initial.safetensors")),
    ("final.safetensors", include_bytes!("../../fixtures/lenet_narrow_adam/final.safetensors")),
    ("predictions.safetensors", include_bytes!("../../fixtures/lenet_narrow_adam/predictions.safetensors")),
    ("train-images.gz", include_bytes!("../../fixtures/mnist-first/train-images.gz")),
    ("train-labels.gz", include_bytes!("../../fixtures/mnist-first/train-labels.gz")),
    ("t10k-images.gz", include_bytes!("../../fixtures/mnist-first/t10k-images.gz")),
    ("t10k-labels.gz", include_bytes!("../../fixtures/mnist-first/t10k-labels.gz")),
];

/// LeNet with few filters must train as in Keras.
pub fn check() -> Check {
    Check::new("a training as in Keras", |device| {
        let folder = tempfile::tempdir().map_err(file("write in", &std::env::temp_dir()))?;
        for (name, bytes) in FILES {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).map_err(file("write", &path))?;
        }
        let replay = Replay::run(device, folder.path(), folder.path())?;
        let extent = format!("{} steps", replay.steps);
        Ok(Outcome { extent, error: Some(replay.largest()), problems: replay.problems() })
    })
}

/// The differences between a training and Keras' recording.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The number of steps.
    pub steps: usize,
    /// The largest error of a step's loss, relative to that loss.
    pub losses: f64,
    /// The largest error in each variable after the last step, by its name, relative to its largest value.
    pub weights: Vec<(String, f64)>,
    /// The largest error of a probability of the test samples, relative to the largest.
    pub predictions: f64,
    /// The test accuracy: found, expected.
    pub accuracy: [f64; 2],
}

/// `expected.json`
#[derive(Deserialize)]
struct Expected {
    optimizer: Rule,
    batch_size: usize,
    losses: Vec<f64>,
    test_samples: usize,
    test_accuracy: f64,
}

/// Adam's constants.
#[derive(Deserialize)]
struct Rule {
    learning_rate: f64,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

impl Replay {
    /// Replays the training recorded in a folder, with `model.json`, `expected.json`, `initial.safetensors`,
    /// `final.safetensors` and `predictions.safetensors`, on the first images of MNIST in the folder `images`:
    /// `train-images.gz`, `train-labels.gz`, `t10k-images.gz` and `t10k-labels.gz`.
    ///
    /// # Errors
    /// If a file is missing or invalid, or the device fails.
    pub fn run(device: &Device, folder: &Path, images: &Path) -> Result<Replay> {
        let expected = read(&folder.join("expected.json"))?;
        let expected: Expected =
            serde_json::from_slice(&expected).map_err(|error| format(folder, error.to_string()))?;
        let Rule { learning_rate, beta_1, beta_2, epsilon } = expected.optimizer;
        let optimizer = Adam { learning_rate: learning_rate.into(), beta_1, beta_2, epsilon, ..Adam::default() };

        let mut model = Model::from_json_file(folder.join("model.json"))?;
        model.load_weights(folder.join("initial.safetensors"))?;
        model.compile(device, Compile { optimizer: optimizer.into(), ..Compile::default() })?;
        let (batch_size, steps) = (expected.batch_size, expected.losses.len());
        let train = first_of_mnist(images, "train")?.head(batch_size * steps);
        let history = model.fit(&train, Fit { batch_size, shuffle: false, ..Fit::default() })?;
        let losses = history.epochs.first().map(|epoch| error_of_losses(&epoch.batch_losses, &expected.losses));

        let after = folder.join("final.safetensors");
        let of_weight = |Weight { name, values, .. }: Weight| {
            let expected = tensor(&after, &name)?;
            Ok((name, error(widen(&values), expected)))
        };
        let weights = model.get_weights()?.into_iter().map(of_weight).collect::<Result<_>>()?;
        let test = first_of_mnist(images, "t10k")?.head(expected.test_samples);
        let probabilities = tensor(&folder.join("predictions.safetensors"), "probabilities")?;
        let predictions = error(widen(&model.predict(&test)?.values), probabilities);
        let accuracy = [model.evaluate(&test)?.accuracy().unwrap_or_default(), expected.test_accuracy];
        Ok(Replay { steps, losses: losses.unwrap_or(f64::INFINITY), weights, predictions, accuracy })
    }

    /// The largest error of a weight or a prediction.
    fn largest(&self) -> f64 {
        self.weights.iter().map(|(_, error)| *error).fold(self.predictions, f64::max)
    }

    /// One line for each difference that exceeds rounding.
    pub fn problems(&self) -> Vec<String> {
        let weights = self.weights.iter().map(|(name, error)| (name.as_str(), *error, ALLOWED));
        let rest = [("the losses", self.losses, ALLOWED_LOSS), ("the predictions", self.predictions, ALLOWED)];
        let wrong = rest.into_iter().chain(weights).filter(|(_, error, allowed)| error > allowed);
        let mut problems: Vec<String> =
            wrong.map(|(name, error, _)| format!("{name}: differ from those of Keras by {error:.1e}")).collect();
        let [found, expected] = self.accuracy;
        if (found - expected).abs() > 1e-9 * expected {
            problems.push(format!("accuracy: expected {expected}, found {found}"));
        }
        problems
    }
}

fn first_of_mnist(folder: &Path, part: &str) -> Result<Dataset> {
    let read = |what| idx::read(folder.join(format!("{part}-{what}.gz")));
    let (images, labels) = (read("images")?, read("labels")?);
    let labels = Labels::index(labels.values.into_iter().map(u32::from).collect(), 10);
    Ok(Dataset::from_u8([28, 28, 1], images.values, labels)?)
}

fn tensor(path: &Path, name: &str) -> Result<Vec<f64>> {
    let bytes = read(path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format(path, error.to_string()))?;
    let view = file.tensor(name).map_err(|error| format(path, error.to_string()))?;
    let words = view.data().chunks_exact(4).map(|word| <[u8; 4]>::try_from(word).unwrap_or_default());
    Ok(words.map(|word| f64::from(f32::from_le_bytes(word))).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(file("read", path))
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

fn format(path: &Path, problem: String) -> Error {
    Error::Format { path: path.to_owned(), problem }
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The largest difference, relative to the largest expected value; infinite for NaN.
fn error(found: Vec<f64>, expected: Vec<f64>) -> f64 {
    Array::f32([found.len()], found).relative_error(&Array::f32([expected.len()], expected))
}

/// The largest difference, each relative to the expected loss; infinite for NaN.
fn error_of_losses(found: &[f64], expected: &[f64]) -> f64 {
    let ratios = found.iter().zip(expected).map(|(found, expected)| found / expected).collect();
    error(ratios, vec![1.0; expected.len()])
}
