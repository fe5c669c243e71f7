//! Errors of models.

use std::io;
use std::path::PathBuf;

use kiln_graph::{DeviceError, Shape};

use crate::data::DataError;
use crate::memory;

/// The result of a model's operation.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of building, training, using, saving or loading a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's layers are incompatible.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The model has no layers.
    #[error("model `{0}` has no layers; add them with `add`")]
    Empty(String),
    /// The model is not on a device, or not ready for training.
    #[error("model `{model}`: {action} needs a device; call `{call}` first, and again after layers were added")]
    NotReady {
        /// The model's name.
        model: String,
        /// The requested action.
        action: &'static str,
        /// The method to call first.
        call: &'static str,
    },
    /// The loss expects probabilities, but the model's last layer is linear.
    #[error(
        "model `{model}`: {loss} expects probabilities, the output of softmax or sigmoid, found {found}; add `{}`, or set `from_logits: true` if the outputs are logits", last_layer(*.outputs)
    )]
    NoSoftmax {
        /// The model's name.
        model: String,
        /// The loss.
        loss: &'static str,
        /// The op that computes the model's output.
        found: String,
        /// The number of the model's outputs.
        outputs: usize,
    },
    /// An argument has an invalid value.
    #[error("{name}: expected {expected}, found {found}")]
    Argument {
        /// The argument's name.
        name: &'static str,
        /// The valid values.
        expected: String,
        /// The invalid value.
        found: String,
    },
    /// A data set does not match the model.
    #[error("model `{model}` expects {expected}, the data set has {found}")]
    Misfit {
        /// The model's name.
        model: String,
        /// The data that the model expects.
        expected: String,
        /// The data set's.
        found: String,
    },
    /// Bytes would be scaled twice.
    #[error(
        "model `{model}`: its layer `{layer}` scales pictures from 0 to 255, found bytes that are already divided by 255; call `rescaled(1.0, 0.0)` on the data set, or with another scale"
    )]
    ScaledTwice {
        /// The model's name.
        model: String,
        /// The layer that scales the model's input.
        layer: String,
    },
    /// The loss or a weight is NaN or infinite: training has diverged.
    #[error(
        "{what} is {value} at epoch {epoch}, step {step}; use a smaller learning rate, and check the data and the initial weights for values that are not finite"
    )]
    NonFinite {
        /// The epoch; the first is 1.
        epoch: usize,
        /// The step of the epoch; the first is 1.
        step: usize,
        /// `the loss`, or a value of a weight: `conv2d/kernel`.
        what: String,
        /// Its value: NaN or infinite.
        value: f64,
    },
    /// Weights do not match the model.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// The state of a callback cannot be serialised, or is another callback's.
    #[error("the state of the callback `{name}`: {problem}")]
    CallbackState {
        /// The name of the state.
        name: String,
        /// The problem.
        problem: String,
    },
    /// `save_checkpoint` was called in `on_epoch_end`, before all callbacks have seen the epoch.
    #[error(
        "save_checkpoint: expected a call after all callbacks have seen the end of the epoch, found one in `on_epoch_end`; call it in `Callback::on_checkpoint`"
    )]
    CheckpointTooEarly,
    /// A file has invalid contents.
    #[error("{}: {problem}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of a hub cannot be downloaded.
    #[cfg(feature = "hub")]
    #[error("cannot fetch {file} of {repository} from {endpoint}: {problem}")]
    Hub {
        /// The repository.
        repository: String,
        /// The file's path in it.
        file: String,
        /// The server's URL.
        endpoint: String,
        /// The error of the server or the network.
        problem: String,
    },
    /// Data cannot be read or are inconsistent.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A batch needs a tensor that the device cannot bind, even in windows.
    #[error("a batch of {batch} samples does not fit the device; {}: {source}", fitting(*.fits))]
    BatchTooLarge {
        /// The size of the batch.
        batch: usize,
        /// The largest size that fits; 0 if none does.
        fits: usize,
        /// The node, the tensor, its size and the limit.
        source: kiln_graph::Error,
    },
    /// There is not enough free memory.
    #[error("not enough memory for {what}: {} needed{}", memory::readable(*.bytes), left(*.free))]
    Memory {
        /// The data that need it.
        what: String,
        /// The required memory in bytes.
        bytes: u64,
        /// The free memory in bytes, if known.
        free: Option<u64>,
    },
    /// A graph cannot be built or planned.
    #[error(transparent)]
    Graph(#[from] kiln_graph::Error),
    /// An error of the device.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

fn left(free: Option<u64>) -> String {
    free.map(|free| format!(", {} free", memory::readable(free))).unwrap_or_default()
}

fn fitting(samples: usize) -> String {
    match samples {
        0 => "no batch does".to_owned(),
        _ => format!("one of {samples} does"),
    }
}

impl Error {
    /// The error for a data set without labels, which the loss needs.
    pub(crate) fn unlabelled(model: &str) -> Error {
        let expected = "a label for each sample".to_owned();
        Error::Misfit { model: model.to_owned(), expected, found: "no labels".to_owned() }
    }
}

impl From<WeightsError> for Error {
    fn from(error: WeightsError) -> Error {
        Error::Weights(Box::new(error))
    }
}

/// The activation that converts this number of logits to probabilities.
fn last_layer(outputs: usize) -> &'static str {
    match outputs {
        1 => "Activation::Sigmoid",
        _ => "Activation::Softmax",
    }
}

/// A layer does not support its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{layer} ({class_name}): {}expected {expected}, found {found}", .argument.map(|name| format!("{name}: ")).unwrap_or_default())]
pub struct LayerError {
    /// The layer's name.
    pub layer: String,
    /// The layer's class.
    pub class_name: &'static str,
    /// Keras' name of the argument that is outside its range, if it is not the inputs that are wrong.
    pub argument: Option<&'static str>,
    /// The expected value, as text.
    pub expected: String,
    /// The value found.
    pub found: String,
}

/// Weights that do not match a model: all problems, not only the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name} does not fit model `{model}`:{}", self.list())]
pub struct WeightsError {
    /// The model's name.
    pub model: String,
    /// The source of the weights: a file, or the caller.
    pub source_name: String,
    /// Tensors of the model that are missing from the source.
    pub missing: Vec<String>,
    /// Tensors of the source that are not in the model.
    pub extra: Vec<String>,
    /// Tensors with different shapes: name, shape in the source, shape in the model.
    pub misshapen: Vec<(String, Shape, Shape)>,
    /// Tensors of unsupported element types: name and type.
    pub mistyped: Vec<(String, String)>,
    /// Hints for the user, a sentence each.
    pub hints: Vec<String>,
}

impl WeightsError {
    /// Creates an error without problems.
    pub(crate) fn new(model: &str, source_name: &str) -> WeightsError {
        let (model, source_name) = (model.to_owned(), source_name.to_owned());
        let (missing, extra, misshapen, mistyped, hints) = Default::default();
        WeightsError { model, source_name, missing, extra, misshapen, mistyped, hints }
    }

    /// Whether there are no problems.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty() && self.mistyped.is_empty()
    }

    /// Appends the problems of another error.
    pub(crate) fn append(&mut self, mut other: WeightsError) {
        self.missing.append(&mut other.missing);
        self.extra.append(&mut other.extra);
        self.misshapen.append(&mut other.misshapen);
        self.mistyped.append(&mut other.mistyped);
    }

    fn list(&self) -> String {
        let missing = self.missing.iter().map(|name| format!("{name} is missing"));
        let extra = self.extra.iter().map(|name| format!("{name} is not in the model"));
        let misshapen =
            self.misshapen.iter().map(|(name, found, expected)| format!("{name} is {found}, the model has {expected}"));
        let mistyped =
            self.mistyped.iter().map(|(name, found)| format!("{name} is {found}, expected F32, F16 or BF16"));
        let lines = missing.chain(extra).chain(misshapen).chain(mistyped).map(|line| format!("\n  {line}"));
        lines.chain(self.hints.iter().map(|hint| format!("\n{hint}"))).collect()
    }
}
