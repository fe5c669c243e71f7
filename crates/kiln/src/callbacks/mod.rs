//! Callbacks, which observe and stop training: Keras' callbacks, and a trait for custom ones.
//!
//! Instead of Keras' `verbose`, callbacks log to `tracing` at level `INFO`.

mod csv_logger;
mod early_stopping;
mod learning_rate_scheduler;
mod model_checkpoint;
mod monitor;
mod pattern;
mod reduce_lr_on_plateau;
mod state;
mod tensor_board;
mod terminate_on_nan;

use std::fmt;
use std::ops::ControlFlow;

use crate::figures::{Figures, write_figures};
use crate::history::EpochLogs;
use crate::{Error, Model, Result};

pub use csv_logger::{CSVLogger, CSVLoggerState};
pub use early_stopping::{EarlyStopping, EarlyStoppingState};
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::{ModelCheckpoint, ModelCheckpointState};
pub use monitor::Mode;
pub use reduce_lr_on_plateau::{ReduceLROnPlateau, ReduceLROnPlateauState};
pub use state::CallbackState;
pub(crate) use state::{CallbackStates, restore, states};
pub use tensor_board::{TensorBoard, TensorBoardState, UpdateFreq};
pub use terminate_on_nan::TerminateOnNaN;

/// A callback of training. Most methods may stop training with [`ControlFlow::Break`]: submitted work still finishes,
/// and the history records that training was stopped. The figures of a stopped validation are omitted.
///
/// Callbacks are called in the order in which they are passed. An error ends training immediately
/// and is returned by [`fit`](Model::fit).
///
/// A training resumed from a checkpoint ([`Model::load_checkpoint`]) has the result of an uninterrupted one if
/// callbacks resume, too. A callback with state between epochs implements [`Callback::state`] and
/// [`Callback::restore`], as Kiln's callbacks do. A callback saves checkpoints in [`Callback::on_checkpoint`].
///
/// # Example
/// A training that ends when it is good enough:
/// ```
/// use std::ops::ControlFlow;
///
/// use kiln::data::{Dataset, Labels};
/// use kiln::layers::{Activation, Dense};
/// use kiln::{Callback, Compile, Device, EpochLogs, Fit, Model, Sequential};
///
/// struct GoodEnough {
///     accuracy: f64,
/// }
///
/// impl Callback for GoodEnough {
///     fn on_epoch_end(&mut self, _: &mut Model, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
///         let enough = logs.accuracy() >= Some(self.accuracy);
///         Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
///     }
/// }
///
/// let data = Dataset::from_f32([1], vec![-1.0, 1.0], Labels::index(vec![0, 1], 2))?;
/// let mut model = Sequential::new([1]);
/// model.add(Dense::new(2).activation(Activation::Softmax));
/// model.compile(&Device::best()?, Compile::default())?;
/// let mut good_enough = GoodEnough { accuracy: 0.5 };
/// let fit = Fit { epochs: 5000, ..Fit::default() };
/// let history = model.fit_with_callbacks(&data, fit, &mut [&mut good_enough])?;
/// assert!(history.stopped && history.epochs.len() < 5000);
/// # Ok::<(), kiln::Error>(())
/// ```
pub trait Callback {
    /// Called before the first epoch.
    ///
    /// # Errors
    /// The error that ends training before it begins.
    fn on_train_begin(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// Called before an epoch with the current model; the first epoch is 1.
    ///
    /// # Errors
    /// The error that ends training.
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize, epochs: usize) -> Result<ControlFlow<()>> {
        let _ = (model, epoch, epochs);
        Ok(ControlFlow::Continue(()))
    }

    /// Called when the figures of a batch have been read back from the device, which may already be several batches
    /// ahead.
    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        let _ = logs;
        ControlFlow::Continue(())
    }

    /// Called when the loss of a batch or, at the end of an epoch, a weight or the validation loss is not finite: `fit`
    /// returns this error, unless a callback stops training here.
    fn on_non_finite(&mut self, error: &Error) -> ControlFlow<()> {
        let _ = error;
        ControlFlow::Continue(())
    }

    /// Called when the figures of a batch of a validation or an evaluation have been read back from the device.
    fn on_test_batch_end(&mut self, logs: &TestBatchLogs) -> ControlFlow<()> {
        let _ = logs;
        ControlFlow::Continue(())
    }

    /// Called after an epoch and its validation with the current model, for example to save it or change its learning
    /// rate.
    ///
    /// # Errors
    /// The error that ends training.
    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        let _ = (model, logs);
        Ok(ControlFlow::Continue(()))
    }

    /// Called after [`Callback::on_epoch_end`] of all callbacks, for a complete epoch: the place to call
    /// [`Model::save_checkpoint`], which then includes the states of all callbacks. (In [`Callback::on_epoch_end`] that
    /// is an error, because only some callbacks have seen the epoch.)
    ///
    /// # Errors
    /// The error that ends training.
    fn on_checkpoint(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<()> {
        let _ = (model, logs);
        Ok(())
    }

    /// Called after the last epoch, also if training was stopped, but not after an error.
    ///
    /// # Errors
    /// The error that `fit` returns instead of the history.
    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// The callback's state for checkpoints, by default none. Called after [`Callback::on_train_begin`] and after each
    /// complete epoch.
    ///
    /// # Errors
    /// The error that ends training.
    fn state(&self) -> Result<Option<CallbackState>> {
        Ok(None)
    }

    /// Restores the callback's state from the checkpoint loaded by [`Model::load_checkpoint`] before
    /// [`fit`](Model::fit). Called after [`Callback::on_train_begin`], if the checkpoint has a state with the name of
    /// [`Callback::state`].
    ///
    /// # Errors
    /// The error that ends training before it begins, for example for a state of another callback.
    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// The figures of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLogs {
    /// The epoch; the first is 1.
    pub epoch: usize,
    /// The number of epochs.
    pub epochs: usize,
    /// The batch within the epoch; the first is 1.
    pub batch: usize,
    /// The number of batches per epoch.
    pub batches: usize,
    /// The number of processed samples of the epoch, including this batch.
    pub samples: usize,
    /// The number of samples per epoch.
    pub all_samples: usize,
    /// The loss of this batch.
    pub batch_loss: f64,
    /// The loss of the epoch so far, averaged over its samples.
    pub loss: f64,
    /// The metrics of the epoch so far, likewise.
    pub metrics: Figures,
}

impl BatchLogs {
    /// The figures of the epoch so far, with Keras' names.
    pub fn figures(&self) -> Vec<(&str, f64)> {
        std::iter::once(("loss", self.loss)).chain(self.metrics.iter()).collect()
    }
}

/// `loss: 0.2500 - accuracy: 0.9000`, as Keras prints figures.
impl fmt::Display for BatchLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_figures(f, &self.figures())
    }
}

/// The figures of a validation or an evaluation so far.
#[derive(Clone, Debug, PartialEq)]
pub struct TestBatchLogs {
    /// The number of processed samples.
    pub samples: usize,
    /// The number of samples.
    pub all_samples: usize,
    /// The loss so far, averaged over the samples.
    pub loss: f64,
    /// The metrics so far, likewise.
    pub metrics: Figures,
}

/// Calls all callbacks, even those after one that breaks.
pub(crate) fn tell(
    callbacks: &mut [&mut dyn Callback],
    mut what: impl FnMut(&mut dyn Callback) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let flows: Vec<ControlFlow<()>> = callbacks.iter_mut().map(|callback| what(&mut **callback)).collect();
    if flows.iter().any(ControlFlow::is_break) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
