//! Stops training when a figure no longer improves.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::monitor::{Improvement, figure};
use super::state::exact;
use super::{Callback, CallbackState, Mode};
use crate::history::EpochLogs;
use crate::weights::Weight;
use crate::{Error, Model, Result};

/// Stops training when a figure has not improved for `patience` epochs, as Keras' `EarlyStopping`.
///
/// An epoch stopped by another callback does not count. NaN is never an improvement, whereas Keras accepts a first NaN
/// as the best value.
///
/// A resumed training restores the best value, its weights and the number of epochs without improvement. A stopped
/// training is stopped again before its next epoch, unless `patience` is larger now.
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
    /// The monitored figure: a name of [`EpochLogs::figures`].
    pub monitor: String,
    /// The minimum change that counts as an improvement.
    pub min_delta: f64,
    /// The number of epochs without improvement after which training stops. 0 is the same as 1.
    pub patience: usize,
    /// The direction of improvement.
    pub mode: Mode,
    /// A value that the figure must also improve on, besides the best so far, to reset the count of epochs without
    /// improvement.
    pub baseline: Option<f64>,
    /// Whether to restore the weights of the best epoch when training ends without an error. The best epoch need not be
    /// better than `baseline`.
    pub restore_best_weights: bool,
    /// The number of initial epochs to ignore, counted from the model's first one.
    pub start_from_epoch: usize,
    /// The state kept by training; initially `Default::default()`.
    pub state: EarlyStoppingState,
}

/// The state of an [`EarlyStopping`]. Each training resets it, unless it is resumed.
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
    /// The best value of the figure in the last training, if any.
    pub fn best(&self) -> Option<f64> {
        self.state.best
    }

    /// The epoch of the best value; the first is 1.
    pub fn best_epoch(&self) -> Option<usize> {
        self.state.best_epoch
    }

    /// The epoch after which the last training was stopped, if it was; the first is 1.
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
        // Only a resumed training is stopped before an epoch.
        let Some(stopped) = self.state.stopped_epoch.filter(|_| self.state.wait >= self.patience) else {
            self.state.stopped_epoch = None;
            return Ok(ControlFlow::Continue(()));
        };
        tracing::info!("early stopping: the resumed training was stopped after epoch {stopped}");
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
