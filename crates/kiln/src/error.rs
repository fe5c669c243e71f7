//! What can go wrong with a model.

use std::io;
use std::path::PathBuf;

use kiln_graph::{DeviceError, Shape};

use crate::data::DataError;
use crate::memory;

/// The result of what a model does.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong when a model is built, trained, used, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's layers do not fit together.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The model has no layer.
    #[error("model `{0}` has no layer; give it some with `add`")]
    Empty(String),
    /// The model is not on a device, or not ready for training.
    #[error("model `{model}`: {action} needs a device; call `{call}` first, and again after layers were added")]
    NotReady {
        /// The model's name.
        model: String,
        /// What was asked for.
        action: &'static str,
        /// What to call.
        call: &'static str,
    },
    /// A loss that takes probabilities stands behind a model whose last layer is linear.
    #[error(
        "model `{model}`: {loss} expects probabilities, as softmax or sigmoid give them, found {found}; add `{}`, or set `from_logits: true` if the model gives logits", last_layer(*.outputs)
    )]
    NoSoftmax {
        /// The model's name.
        model: String,
        /// The loss.
        loss: &'static str,
        /// The op that gives the model's output.
        found: String,
        /// How many outputs the model has.
        outputs: usize,
    },
    /// An argument has a value that makes no sense.
    #[error("{name}: expected {expected}, found {found}")]
    Argument {
        /// The argument's name.
        name: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A data set does not fit the model.
    #[error("model `{model}` expects {expected}, the data set has {found}")]
    Misfit {
        /// The model's name.
        model: String,
        /// What the model takes.
        expected: String,
        /// What the data set has.
        found: String,
    },
    /// A model would see bytes that are scaled twice.
    #[error(
        "model `{model}`: its layer `{layer}` scales pictures from 0 to 255, found bytes that are divided by 255 before; call `rescaled(1.0, 0.0)` on the data set, or with another rule"
    )]
    ScaledTwice {
        /// The model's name.
        model: String,
        /// The layer with which the model scales its input.
        layer: String,
    },
    /// The loss or a weight is no longer a finite number: training has diverged.
    #[error(
        "{what} is {value} at epoch {epoch}, step {step}; use a smaller learning rate, and check the data and the initial weights for values that are not finite"
    )]
    NonFinite {
        /// The epoch, the first being 1.
        epoch: usize,
        /// The step of the epoch, the first being 1.
        step: usize,
        /// `the loss`, or a value of a weight: `conv2d/kernel`.
        what: String,
        /// Its value: NaN or infinite.
        value: f64,
    },
    /// Weights do not fit the model.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// The state of a callback cannot be written, or is not one of this callback.
    #[error("the state of the callback `{name}`: {problem}")]
    CallbackState {
        /// The name of the state.
        name: String,
        /// What was expected, and what was found.
        problem: String,
    },
    /// A checkpoint was to be saved in `on_epoch_end`, when not all callbacks have seen the epoch.
    #[error(
        "save_checkpoint: expected a call when all callbacks have seen the end of the epoch, found one in `on_epoch_end`; call it in `Callback::on_checkpoint`"
    )]
    CheckpointTooEarly,
    /// A file holds something other than it should.
    #[error("{}: {problem}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected, and what was found.
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
    /// A file of a hub cannot be had.
    #[cfg(feature = "hub")]
    #[error("cannot fetch {file} of {repository} from {endpoint}: {problem}")]
    Hub {
        /// The repository.
        repository: String,
        /// The file's path in it.
        file: String,
        /// The server's address.
        endpoint: String,
        /// What the server or the network said.
        problem: String,
    },
    /// Data cannot be read, or do not fit together.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A batch needs a tensor that the device cannot bind, not even in windows.
    #[error("a batch of {batch} samples does not fit the device; {}: {source}", fitting(*.fits))]
    BatchTooLarge {
        /// The size of the batch.
        batch: usize,
        /// The size of a batch that fits; 0 if none does.
        fits: usize,
        /// The node, the tensor, its size and the limit.
        source: kiln_graph::Error,
    },
    /// Something needs more memory than is free.
    #[error("not enough memory for {what}: {} needed{}", memory::readable(*.bytes), left(*.free))]
    Memory {
        /// What needs it.
        what: String,
        /// How much it needs, in bytes.
        bytes: u64,
        /// How much is free, in bytes, if that is known.
        free: Option<u64>,
    },
    /// A graph cannot be built or planned.
    #[error(transparent)]
    Graph(#[from] kiln_graph::Error),
    /// The device cannot do what is asked of it.
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
    /// A data set without labels, where a loss needs them.
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

/// The layer that makes probabilities of so many logits.
fn last_layer(outputs: usize) -> &'static str {
    match outputs {
        1 => "Activation::Sigmoid",
        _ => "Activation::Softmax",
    }
}

/// A layer that cannot take what comes in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{layer} ({class_name}): {}expected {expected}, found {found}", .argument.map(|name| format!("{name}: ")).unwrap_or_default())]
pub struct LayerError {
    /// The layer's name.
    pub layer: String,
    /// The layer's class.
    pub class_name: &'static str,
    /// Keras' name of the argument that is outside its range, if it is not the inputs that are wrong.
    pub argument: Option<&'static str>,
    /// What was expected, in words.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// Weights that do not fit a model: all that is wrong, not only the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name} does not fit model `{model}`:{}", self.list())]
pub struct WeightsError {
    /// The model's name.
    pub model: String,
    /// Where the weights come from: a file, or what a caller gave.
    pub source_name: String,
    /// Tensors that the model has and the source has not.
    pub missing: Vec<String>,
    /// Tensors that the source has and the model has not.
    pub extra: Vec<String>,
    /// Tensors that both have: name, shape in the source, shape in the model.
    pub misshapen: Vec<(String, Shape, Shape)>,
    /// Tensors of an element type that is not read: name and type.
    pub mistyped: Vec<(String, String)>,
    /// What can be done, a sentence each.
    pub hints: Vec<String>,
}

impl WeightsError {
    /// Nothing wrong so far.
    pub(crate) fn new(model: &str, source_name: &str) -> WeightsError {
        let (model, source_name) = (model.to_owned(), source_name.to_owned());
        let (missing, extra, misshapen, mistyped, hints) = Default::default();
        WeightsError { model, source_name, missing, extra, misshapen, mistyped, hints }
    }

    /// Whether anything is wrong at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty() && self.mistyped.is_empty()
    }

    /// Adds what is wrong elsewhere.
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
