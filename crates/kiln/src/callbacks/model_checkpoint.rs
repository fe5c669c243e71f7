//! The model in files, while it is trained.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::monitor::{Improvement, figure};
use super::pattern::Pattern;
use super::state::exact;
use super::{Callback, CallbackState, Mode};
use crate::history::EpochLogs;
use crate::saving::make_folder;
use crate::{Error, Model, Result};

/// The state of the training beside the model's files: see [`Model::load_checkpoint`].
const CHECKPOINT: &str = "checkpoint.safetensors";
/// The suffix of files of weights.
const WEIGHTS: &str = ".safetensors";

/// Saves the model after epochs, like Keras' `ModelCheckpoint`: to a folder, with [`Model::save`], together with
/// `checkpoint.safetensors` for resuming the training ([`Model::load_checkpoint`]); or only its weights to a
/// safetensors file.
///
/// An epoch stopped by another callback is not saved. The best value persists from one training to the next, and a resumed
/// training restores it from the checkpoint.
///
/// # Example
/// ```
/// use kiln::callbacks::ModelCheckpoint;
///
/// let every = ModelCheckpoint::new("runs/{epoch:02d}-{val_loss:.2f}");
/// let best = ModelCheckpoint { save_best_only: true, ..ModelCheckpoint::new("runs/best") };
/// ```
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    /// The folder, or with `save_weights_only` the file, whose name then ends in `.safetensors`. Placeholders insert the
    /// epoch, starting at 1, and its metrics: `{epoch:02d}`, `{val_loss:.2f}`, `{loss:.3e}`. Missing folders are created;
    /// existing files are replaced.
    pub filepath: String,
    /// The metric that determines the best model: a name of [`EpochLogs::figures`].
    pub monitor: String,
    /// Whether to save only models that are better than all previous ones.
    pub save_best_only: bool,
    /// Whether to save only the weights.
    pub save_weights_only: bool,
    /// The direction in which the metric improves.
    pub mode: Mode,
    /// The interval, in epochs, of saving or, with `save_best_only`, comparing. Keras' `save_freq` counts batches.
    pub period: usize,
    /// The value that the first model must improve on to be saved with `save_best_only`.
    pub initial_value_threshold: Option<f64>,
    /// The state, updated by training; initially `Default::default()`.
    pub state: ModelCheckpointState,
}

/// The state of a [`ModelCheckpoint`] between epochs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelCheckpointState {
    #[serde(with = "exact")]
    best: Option<f64>,
    epochs_since_last_save: usize,
    /// The checkpoint to be written when all callbacks have seen the epoch.
    #[serde(skip)]
    due: Option<PathBuf>,
}

impl ModelCheckpoint {
    /// Saves every epoch's model there.
    pub fn new(filepath: impl Into<String>) -> ModelCheckpoint {
        ModelCheckpoint {
            filepath: filepath.into(),
            monitor: "val_loss".to_owned(),
            save_best_only: false,
            save_weights_only: false,
            mode: Mode::Auto,
            period: 1,
            initial_value_threshold: None,
            state: ModelCheckpointState::default(),
        }
    }

    /// The best value of the figure so far, with `save_best_only`.
    pub fn best(&self) -> Option<f64> {
        self.state.best
    }

    fn improvement(&self) -> Result<Option<Improvement>> {
        self.save_best_only.then(|| Improvement::new(self.mode, &self.monitor, 0.0)).transpose()
    }

    fn save(&mut self, model: &Model, path: &Path) -> Result<()> {
        if self.save_weights_only {
            path.parent().map_or(Ok(()), make_folder)?;
            return model.save_weights(path);
        }
        model.save(path)?;
        self.state.due = Some(path.join(CHECKPOINT));
        Ok(())
    }
}

impl Callback for ModelCheckpoint {
    fn on_train_begin(&mut self, _: &mut Model) -> Result<()> {
        let argument = |name, expected: &str, found: &str| {
            Err(Error::Argument { name, expected: expected.to_owned(), found: found.to_owned() })
        };
        if self.period == 0 {
            return argument("period", "at least 1", "0");
        }
        match (self.save_weights_only, self.filepath.ends_with(WEIGHTS)) {
            (true, false) => return argument("filepath", "a file that ends in `.safetensors`", &self.filepath),
            (false, true) => return argument("filepath", "a folder, or `save_weights_only`", &self.filepath),
            _ => {}
        }
        (self.state.epochs_since_last_save, self.state.due) = (0, None);
        self.improvement()?;
        Pattern::parse(&self.filepath).map(|_| ())
    }

    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        self.state.epochs_since_last_save += 1;
        if !logs.complete || self.state.epochs_since_last_save < self.period {
            return Ok(ControlFlow::Continue(()));
        }
        self.state.epochs_since_last_save = 0;
        if let Some(improvement) = self.improvement()? {
            let value = figure(logs, &self.monitor)?;
            if !improvement.is(value, self.state.best.or(self.initial_value_threshold)) {
                return Ok(ControlFlow::Continue(()));
            }
            self.state.best = Some(value);
        }
        let path = Pattern::parse(&self.filepath)?.fill(logs)?;
        self.save(model, Path::new(&path))?;
        tracing::info!("epoch {}: the model is saved in {path}", logs.epoch);
        Ok(ControlFlow::Continue(()))
    }

    fn on_checkpoint(&mut self, model: &mut Model, _: &EpochLogs) -> Result<()> {
        self.state.due.take().map_or(Ok(()), |path| model.save_checkpoint(path))
    }

    fn state(&self) -> Result<Option<CallbackState>> {
        CallbackState::new(format!("ModelCheckpoint {}", self.monitor), &self.state).map(Some)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.state = state.values()?;
        Ok(())
    }
}
