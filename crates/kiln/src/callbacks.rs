//! What a caller sees of training while it runs, and how it stops it.

use std::ops::ControlFlow;

use crate::history::EpochLogs;
use crate::{Result, Sequential};

/// Something that is told how training goes. Most methods may stop training with [`ControlFlow::Break`]: what is on its
/// way to the device still ends, and the history tells that training was stopped. The figures of a validation that was
/// stopped are left out.
///
/// Callbacks are told in the order in which they were given. An error ends training at once and is what
/// [`fit`](Sequential::fit) gives.
pub trait Callback {
    /// Before the first epoch.
    ///
    /// # Errors
    /// What ends training before it begins.
    fn on_train_begin(&mut self, model: &mut Sequential) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// Before an epoch. The first is 1.
    fn on_epoch_begin(&mut self, epoch: usize, epochs: usize) -> ControlFlow<()> {
        let _ = (epoch, epochs);
        ControlFlow::Continue(())
    }

    /// When the figures of a batch have come back from the device, which may already be some batches further.
    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        let _ = logs;
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
    fn on_epoch_end(&mut self, model: &mut Sequential, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        let _ = (model, logs);
        Ok(ControlFlow::Continue(()))
    }

    /// After the last epoch, also of a training that was stopped, but not after an error.
    ///
    /// # Errors
    /// What `fit` gives in place of the history.
    fn on_train_end(&mut self, model: &mut Sequential) -> Result<()> {
        let _ = model;
        Ok(())
    }
}

/// The figures of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// The share of the epoch's samples so far whose class was the most probable one.
    pub accuracy: f64,
}

/// The figures of a validation or an evaluation so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestBatchLogs {
    /// How many samples are done.
    pub samples: usize,
    /// The number of samples.
    pub all_samples: usize,
    /// The loss so far, averaged over the samples.
    pub loss: f64,
    /// The share of the samples so far whose class was the most probable one.
    pub accuracy: f64,
}

/// Tells all callbacks, even those behind one that breaks.
pub(crate) fn tell(
    callbacks: &mut [&mut dyn Callback],
    mut what: impl FnMut(&mut dyn Callback) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let flows: Vec<ControlFlow<()>> = callbacks.iter_mut().map(|callback| what(&mut **callback)).collect();
    if flows.iter().any(ControlFlow::is_break) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
