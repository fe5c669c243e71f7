//! Reduces the learning rate when a figure no longer improves.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::monitor::{Improvement, figure};
use super::state::exact;
use super::{Callback, CallbackState, Mode};
use crate::history::EpochLogs;
use crate::{Error, Model, Result};

/// Multiplies the learning rate by `factor` when a figure has not improved for `patience` epochs, as Keras'
/// `ReduceLROnPlateau`.
///
/// An epoch stopped by another callback does not count. NaN is never an improvement, whereas Keras accepts a first NaN
/// as the best value.
///
/// # Example
/// ```
/// use kiln::callbacks::ReduceLROnPlateau;
///
/// let reduce = ReduceLROnPlateau { factor: 0.2, patience: 5, min_lr: 0.001, ..Default::default() };
/// assert_eq!(reduce.min_delta, 1e-4);
/// ```
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    /// The monitored figure: a name of [`EpochLogs::figures`].
    pub monitor: String,
    /// The factor of the learning rate: 0 or more and less than 1.
    pub factor: f64,
    /// The number of epochs without improvement before a reduction. 0 is the same as 1.
    pub patience: usize,
    /// The direction of improvement.
    pub mode: Mode,
    /// The minimum change that counts as an improvement.
    pub min_delta: f64,
    /// The number of epochs after a reduction in which missing improvements are not counted.
    pub cooldown: usize,
    /// The lower bound of the learning rate.
    pub min_lr: f64,
    /// The state kept by training; initially `Default::default()`.
    pub state: ReduceLROnPlateauState,
}

/// The state of a [`ReduceLROnPlateau`]. Each training resets it, unless it is resumed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReduceLROnPlateauState {
    wait: usize,
    cooldown: usize,
    #[serde(with = "exact")]
    best: Option<f64>,
}

impl Default for ReduceLROnPlateau {
    fn default() -> ReduceLROnPlateau {
        ReduceLROnPlateau {
            monitor: "val_loss".to_owned(),
            factor: 0.1,
            patience: 10,
            mode: Mode::Auto,
            min_delta: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
            state: ReduceLROnPlateauState::default(),
        }
    }
}

impl ReduceLROnPlateau {
    /// Reduces the learning rate; returns false if it was already at its lower bound.
    fn reduce(&self, model: &mut Model, epoch: usize) -> Result<bool> {
        let old = model.learning_rate()?;
        // Compared as f32, the precision of training steps.
        if old as f32 <= self.min_lr as f32 {
            return Ok(false);
        }
        let new = (old * self.factor).max(self.min_lr);
        tracing::info!("epoch {epoch}: the learning rate is reduced to {new}");
        model.set_learning_rate(new)?;
        Ok(true)
    }
}

impl Callback for ReduceLROnPlateau {
    fn on_train_begin(&mut self, _: &mut Model) -> Result<()> {
        self.state = ReduceLROnPlateauState::default();
        if !(0.0..1.0).contains(&self.factor) {
            let (expected, found) = ("0 or more and less than 1".to_owned(), self.factor.to_string());
            return Err(Error::Argument { name: "factor", expected, found });
        }
        Improvement::new(self.mode, &self.monitor, self.min_delta).map(|_| ())
    }

    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        if !logs.complete {
            return Ok(ControlFlow::Continue(()));
        }
        let improvement = Improvement::new(self.mode, &self.monitor, self.min_delta)?;
        let value = figure(logs, &self.monitor)?;
        if self.state.cooldown > 0 {
            self.state.cooldown -= 1;
            self.state.wait = 0;
        }
        if improvement.is(value, self.state.best) {
            self.state.best = Some(value);
            self.state.wait = 0;
        } else if self.state.cooldown == 0 {
            self.state.wait += 1;
            if self.state.wait >= self.patience && self.reduce(model, logs.epoch)? {
                self.state.cooldown = self.cooldown;
                self.state.wait = 0;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn state(&self) -> Result<Option<CallbackState>> {
        CallbackState::new(format!("ReduceLROnPlateau {}", self.monitor), &self.state).map(Some)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.state = state.values()?;
        Ok(())
    }
}
