//! Trains convolutional networks on hand-written WGSL, with the vocabulary of Keras.
//!
//! ```no_run
//! use kiln::data;
//! use kiln::losses::CategoricalCrossentropy;
//! use kiln::optimizers::Adam;
//! use kiln::{Compile, Device, Fit, models};
//!
//! let device = Device::best()?;
//! let (train, test) = data::mnist(data::folder("mnist")?)?;
//! let mut model = models::lenet([28, 28, 1], 10);
//! println!("{}", model.summary());
//! let (optimizer, loss) = (Adam::default().into(), CategoricalCrossentropy::default().into());
//! model.compile(&device, Compile { optimizer, loss, ..Default::default() })?;
//! let history = model.fit(&train, Fit { epochs: 20, batch_size: 128, validation_split: 0.2, ..Default::default() })?;
//! let score = model.evaluate(&test)?;
//! println!("{score}"); // loss: 0.0312 - accuracy: 0.9902
//! model.save("runs/lenet")?;
//! history.save("runs/lenet")?;
//! # Ok::<(), kiln::Error>(())
//! ```
//!
//! A model is a graph of [`layers`], most often a chain; a layer defines only its shapes and its ops. The model builds
//! one graph per kind of batch (train, evaluate, predict), plans it and runs it on the device: a training step, from
//! gathering the samples to the optimizer, is one plan. Data sets and weights stay on the device; a training reads back
//! two numbers per batch and never waits within an epoch.
//!
//! Random values (weights, orders) depend only on the seed, so repeated trainings on a device are bit-identical.

mod arguments;
pub mod augmentation;
pub mod callbacks;
mod compile;
mod confusion_matrix;
mod constraints;
pub mod data;
mod device;
mod epochs;
mod error;
mod evaluation;
mod figures;
pub mod files;
mod fit;
mod graph_methods;
mod history;
#[cfg(feature = "hub")]
pub mod hub;
mod initializers;
mod keras_object;
pub mod layers;
mod loss_scale;
pub mod losses;
mod memory;
pub mod metrics;
mod model;
pub mod models;
mod network;
mod objectives;
mod op_program;
pub mod optimizers;
mod per_output;
mod random;
mod regularizers;
mod saving;
mod session;
mod summary;
mod training;
mod tuning;
mod weights;

pub use bytemuck;
pub use kiln_gpu::wgpu;
pub use kiln_graph as graph;
pub use kiln_ops as ops;
pub use kiln_simd as simd;
pub use serde_json;

pub use callbacks::{BatchLogs, Callback, TestBatchLogs};
pub use compile::Compile;
pub use confusion_matrix::ConfusionMatrix;
pub use device::{ALGORITHMS_VARIABLE, DEVICE_VARIABLE, Device};
pub use epochs::{EpochReport, Epochs, Report};
pub use error::{Error, LayerError, Result, WeightsError};
pub use figures::Figures;
pub use fit::Fit;
pub use history::{EpochLogs, History};
pub use kiln_graph::{Algorithms, Precision, UnknownName};
pub use loss_scale::LossScale;
pub use model::{
    FeatureCache, LayerInfo, LayerList, LayerSelection, Model, Predictions, Score, Sequential, VariableInfo,
    VariableList,
};
pub use network::Node;
pub use op_program::OpProgram;
pub use per_output::PerOutput;
pub use saving::{LoadModel, LoadWeights};
pub use summary::{Connection, Summary, SummaryRow};
pub use training::{StepReport, Submitted, Training, TrainingOptions};
pub use tuning::{TUNE_VARIABLE, Tune};
pub use weights::Weight;

#[doc = include_str!("if_you_know_keras.md")]
pub mod if_you_know_keras {}

/// Kiln's folder `name` in the platform's cache folder (`~/.cache/kiln/name` on Linux), if there is a home folder.
fn cache_folder(name: &str) -> Option<std::path::PathBuf> {
    let platform = etcetera::choose_base_strategy().ok()?;
    Some(etcetera::BaseStrategy::cache_dir(&platform).join("kiln").join(name))
}

/// Tests the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
