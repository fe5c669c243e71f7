//! Training ends when it no longer helps.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::monitor::{Improvement, figure};
use super::state::exact;
use super::{Callback, CallbackState, Mode};
use crate::history::EpochLogs;
use crate::weights::Weight;
use crate::{Error, Model, Result};

/// Stops training when a figure has not improved for some epochs, as Keras' `EarlyStopping` does.
///
/// An epoch that another callback stopped does not count. A figure that is not a number is no improvement, where Keras
/// takes one as the best if it is the first.
///
/// A resumed training goes on with the best figure, its weights and the number of epochs without improvement. One that
/// was stopped is stopped again before its next epoch, unless `patience` is larger now.
///
/// # Example
/// ```
/// use kiln::callbacks::EarlyStopping;
///
/// let early_stopping = EarlyStopping { patience: 3, restore_best_weights: true, ..Default::default() };
/// assert_eq!(early_stopping.monitor, "val_loss");
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    /// The figure that is looked at: a name of [`EpochLogs::figures`].
    pub monitor: String,
    /// How much better than the best a figure must be to count as an improvement.
    pub min_delta: f64,
    /// After how many epochs without improvement training stops. With 0, after the first one: as with 1.
    pub patience: usize,
    /// Which way the figure improves.
    pub mode: Mode,
    /// What the figure must be better than, beside the best so far, for the epochs without improvement to be counted
    /// from the start again.
    pub baseline: Option<f64>,
    /// Whether the model gets the weights of the best epoch when training ends, however it ends but with an error. An
    /// epoch is the best whether or not it is better than `baseline`.
    pub restore_best_weights: bool,
    /// How many epochs are not looked at, counted from the model's first one.
    pub start_from_epoch: usize,
    /// What training leaves here: `Default::default()` to begin with.
    pub state: EarlyStoppingState,
}

/// What an [`EarlyStopping`] keeps from epoch to epoch. Each training starts anew, unless it is resumed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EarlyStoppingState {
    wait: usize,
    #[serde(with = "exact")]
    best: Option<f64>,
    best_epoch: Option<usize>,
    #[serde(skip)]
    best_weights: Option<Arc<[Weight]>>,
    stopped_epoch: Option<usize>,
}

impl Default for EarlyStopping {
    fn default() -> EarlyStopping {
        EarlyStopping {
            monitor: "val_loss".to_owned(),
            min_delta: 0.0,
            patience: 0,
            mode: Mode::Auto,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            state: EarlyStoppingState::default(),
        }
    }
}

impl EarlyStopping {
    /// The best value of the figure in the last training, if it had any.
    pub fn best(&self) -> Option<f64> {
        self.state.best
    }

    /// The epoch of the best value, the first being 1.
    pub fn best_epoch(&self) -> Option<usize> {
        self.state.best_epoch
    }

    /// The epoch after which the last training was stopped, the first being 1, if it was.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.state.stopped_epoch
    }

    fn keep(&mut self, model: &Model, epoch: usize) -> Result<()> {
        self.state.best_epoch = Some(epoch);
        if self.restore_best_weights {
            self.state.best_weights = Some(model.get_weights()?.into());
        }
        Ok(())
    }
}

impl Callback for EarlyStopping {
    fn on_train_begin(&mut self, _: &mut Model) -> Result<()> {
        self.state = EarlyStoppingState::default();
        Improvement::new(self.mode, &self.monitor, self.min_delta).map(|_| ())
    }

    fn on_epoch_begin(&mut self, _: &mut Model, _: usize, _: usize) -> Result<ControlFlow<()>> {
        // Only in a resumed training is there a stop before an epoch.
        let Some(stopped) = self.state.stopped_epoch.filter(|_| self.state.wait >= self.patience) else {
            self.state.stopped_epoch = None;
            return Ok(ControlFlow::Continue(()));
        };
        tracing::info!("early stopping ended the training that is resumed after epoch {stopped}");
        Ok(ControlFlow::Break(()))
    }

    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        if !logs.complete {
            return Ok(ControlFlow::Continue(()));
        }
        let improvement = Improvement::new(self.mode, &self.monitor, self.min_delta)?;
        let value = figure(logs, &self.monitor)?;
        if logs.epoch <= self.start_from_epoch {
            return Ok(ControlFlow::Continue(()));
        }
        self.state.wait += 1;
        if improvement.is(value, self.state.best) {
            self.state.best = Some(value);
            self.keep(model, logs.epoch)?;
            if self.baseline.is_none_or(|baseline| improvement.is(value, Some(baseline))) {
                self.state.wait = 0;
            }
            return Ok(ControlFlow::Continue(()));
        }
        if self.state.best_epoch.is_none() {
            self.keep(model, logs.epoch)?;
        }
        if self.state.wait >= self.patience && logs.epoch > 1 {
            tracing::info!("epoch {}: early stopping, {} is {value}", logs.epoch, self.monitor);
            self.state.stopped_epoch = Some(logs.epoch);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn on_train_end(&mut self, model: &mut Model) -> Result<()> {
        match self.state.best_weights.take() {
            Some(weights) => model.set_weights(&weights),
            None => Ok(()),
        }
    }

    fn state(&self) -> Result<Option<CallbackState>> {
        let state = CallbackState::new(format!("EarlyStopping {}", self.monitor), &self.state)?;
        Ok(Some(state.with_tensors(self.state.best_weights.clone().unwrap_or_default())))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let saved: EarlyStoppingState = state.values()?;
        let best_weights = Some(state.tensors().clone()).filter(|weights| !weights.is_empty());
        if self.restore_best_weights && saved.best_epoch.is_some() && best_weights.is_none() {
            let problem = "expected the weights of the best epoch, for `restore_best_weights`, found none".to_owned();
            return Err(Error::CallbackState { name: state.name().to_owned(), problem });
        }
        let best_weights = best_weights.filter(|_| self.restore_best_weights);
        self.state = EarlyStoppingState { best_weights, ..saved };
        Ok(())
    }
}
