//! What a caller sees of training while it runs, and how it stops it: Keras' callbacks, and the trait for one's own.
//!
//! Keras' `verbose` is missing: what a callback does is told to `tracing`, at level `INFO`.

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

use std::ops::ControlFlow;

use crate::figures::Figures;
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

/// Something that is told how training goes. Most methods may stop training with [`ControlFlow::Break`]: what is on its
/// way to the device still ends, and the history tells that training was stopped. The figures of a validation that was
/// stopped are left out.
///
/// Callbacks are told in the order in which they were given. An error ends training at once and is what
/// [`fit`](Model::fit) gives.
///
/// A training that is resumed from a checkpoint ([`Model::load_checkpoint`]) ends as one that was not interrupted if
/// callbacks go on from where they were. One that keeps something from epoch to epoch implements [`Callback::state`]
/// and [`Callback::restore`]; those of Kiln do. One that saves checkpoints does so in [`Callback::on_checkpoint`].
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
///         let enough = logs.accuracy() >= self.accuracy;
///         Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
///     }
/// }
///
/// let data = Dataset::from_f32([1], vec![-1.0, 1.0], Labels::index(vec![0, 1], 2))?;
/// let mut model = Sequential::new([1]);
/// model.add(Dense::new(2).activation(Activation::Softmax));
/// model.compile(&Device::best()?, Compile::default())?;
/// let mut good_enough = GoodEnough { accuracy: 0.5 };
/// let fit = Fit { epochs: 5000, callbacks: vec![&mut good_enough], ..Fit::default() };
/// let history = model.fit(&data, fit)?;
/// assert!(history.stopped && history.epochs.len() < 5000);
/// # Ok::<(), kiln::Error>(())
/// ```
pub trait Callback {
    /// Before the first epoch.
    ///
    /// # Errors
    /// What ends training before it begins.
    fn on_train_begin(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// Before an epoch, the first being 1, with the model as it is then.
    ///
    /// # Errors
    /// What ends training.
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize, epochs: usize) -> Result<ControlFlow<()>> {
        let _ = (model, epoch, epochs);
        Ok(ControlFlow::Continue(()))
    }

    /// When the figures of a batch have come back from the device, which may already be some batches further.
    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        let _ = logs;
        ControlFlow::Continue(())
    }

    /// When the loss of a batch or, at the end of an epoch, a weight or the validation loss is not finite: `fit` ends with this error, unless a
    /// callback stops training here.
    fn on_non_finite(&mut self, error: &Error) -> ControlFlow<()> {
        let _ = error;
        ControlFlow::Continue(())
    }

    /// When the figures of a batch of a validation or an evaluation have come back from the device.
    fn on_test_batch_end(&mut self, logs: &TestBatchLogs) -> ControlFlow<()> {
        let _ = logs;
        ControlFlow::Continue(())
    }

    /// After an epoch and its validation, with the model as it is then: to save it or change its learning rate, for
    /// example.
    ///
    /// # Errors
    /// What ends training.
    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        let _ = (model, logs);
        Ok(ControlFlow::Continue(()))
    }

    /// When all callbacks have been called for the end of an epoch that ran to its end: the place to call
    /// [`Model::save_checkpoint`], whose file then holds the states of all callbacks, also of those that come later in the
    /// list. (In [`Callback::on_epoch_end`] that is an error, as some have seen the epoch and others have not.)
    ///
    /// # Errors
    /// What ends training.
    fn on_checkpoint(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<()> {
        let _ = (model, logs);
        Ok(())
    }

    /// After the last epoch, also of a training that was stopped, but not after an error.
    ///
    /// # Errors
    /// What `fit` gives in place of the history.
    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// What the callback must know to go on with a training, for checkpoints; by default nothing. Called after
    /// [`Callback::on_train_begin`] and after each epoch that ran to its end.
    ///
    /// # Errors
    /// What ends training.
    fn state(&self) -> Result<Option<CallbackState>> {
        Ok(None)
    }

    /// Puts the callback where it was when the checkpoint was saved that [`Model::load_checkpoint`] loaded before
    /// [`fit`](Model::fit). Called after [`Callback::on_train_begin`], if the checkpoint has a state of the name that
    /// [`Callback::state`] returns.
    ///
    /// # Errors
    /// What ends training before it begins: a state that is not the callback's, for example.
    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// The figures of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLogs {
    /// The epoch, the first being 1.
    pub epoch: usize,
    /// The number of epochs.
    pub epochs: usize,
    /// The batch within the epoch, the first being 1.
    pub batch: usize,
    /// The number of batches of an epoch.
    pub batches: usize,
    /// How many samples of the epoch are done, this batch included.
    pub samples: usize,
    /// The number of samples of an epoch.
    pub all_samples: usize,
    /// The loss of this batch.
    pub batch_loss: f64,
    /// The loss of the epoch so far, averaged over its samples.
    pub loss: f64,
    /// The metrics of the epoch so far, likewise.
    pub metrics: Figures,
}

impl BatchLogs {
    /// The figures of the epoch so far, by Keras' names.
    pub fn figures(&self) -> Vec<(&str, f64)> {
        std::iter::once(("loss", self.loss)).chain(self.metrics.iter()).collect()
    }
}

/// The figures of a validation or an evaluation so far.
#[derive(Clone, Debug, PartialEq)]
pub struct TestBatchLogs {
    /// How many samples are done.
    pub samples: usize,
    /// The number of samples.
    pub all_samples: usize,
    /// The loss so far, averaged over the samples.
    pub loss: f64,
    /// The metrics so far, likewise.
    pub metrics: Figures,
}

/// Tells all callbacks, even those behind one that breaks.
pub(crate) fn tell(
    callbacks: &mut [&mut dyn Callback],
    mut what: impl FnMut(&mut dyn Callback) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let flows: Vec<ControlFlow<()>> = callbacks.iter_mut().map(|callback| what(&mut **callback)).collect();
    if flows.iter().any(ControlFlow::is_break) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
