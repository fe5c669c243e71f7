//! Logs figures for TensorBoard.

mod event_file;
mod record;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{BatchLogs, Callback, CallbackState};
use crate::history::EpochLogs;
use crate::{Error, Model, Result};
use event_file::EventFile;

/// Writes the figures of a training to event files, as Keras' `TensorBoard`; `tensorboard --logdir logs` shows them,
/// even during training.
///
/// `log_dir/train` has `epoch_loss`, `epoch_accuracy` and `epoch_learning_rate`; `log_dir/validation` has `epoch_loss`
/// and `epoch_accuracy`, by epoch (the first is 0 as in Keras), and `evaluation_loss_vs_iterations` and
/// `evaluation_accuracy_vs_iterations`, by step. [`UpdateFreq::Batches`] adds `batch_loss` and `batch_accuracy` of the
/// epoch so far, by training step. Histograms, graphs, images, profiles and embeddings are not written.
///
/// # Example
/// ```
/// use kiln::callbacks::{TensorBoard, UpdateFreq};
///
/// let mut tensor_board = TensorBoard { update_freq: UpdateFreq::Batches(100), ..TensorBoard::new("logs/lenet") };
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    /// The folder. Each training needs its own, or its curves overlap.
    pub log_dir: PathBuf,
    /// Whether to write `epoch_steps_per_second`, too.
    pub write_steps_per_second: bool,
    /// The frequency of writing metrics, in addition to those of each epoch.
    pub update_freq: UpdateFreq,
    /// The state kept by training; initially `Default::default()`.
    pub state: TensorBoardState,
}

/// The update frequency of a [`TensorBoard`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateFreq {
    /// After each epoch.
    #[default]
    Epoch,
    /// Also after each batch whose number in the training (the first is 1) is a multiple of this.
    Batches(usize),
}

/// The state of a [`TensorBoard`]. Each training resets it and writes new files; a resumed training continues the batch
/// numbers.
#[derive(Debug, Default)]
pub struct TensorBoardState {
    train: Option<EventFile>,
    validation: Option<EventFile>,
    batches: usize,
    /// An error of writing a batch's figures, returned when its epoch ends.
    failed: Option<Error>,
}

impl Default for TensorBoard {
    fn default() -> TensorBoard {
        TensorBoard::new("logs")
    }
}

impl TensorBoard {
    /// Writes the figures of each epoch to a folder.
    pub fn new(log_dir: impl AsRef<Path>) -> TensorBoard {
        TensorBoard {
            log_dir: log_dir.as_ref().to_owned(),
            write_steps_per_second: false,
            update_freq: UpdateFreq::Epoch,
            state: TensorBoardState::default(),
        }
    }

    fn train(&mut self) -> Result<&mut EventFile> {
        opened(&mut self.state.train, &self.log_dir.join("train"))
    }

    fn validation(&mut self) -> Result<&mut EventFile> {
        opened(&mut self.state.validation, &self.log_dir.join("validation"))
    }
}

/// The file, created on first use, so that there is no file without figures.
fn opened<'a>(file: &'a mut Option<EventFile>, folder: &Path) -> Result<&'a mut EventFile> {
    let opened = match file.take() {
        Some(file) => file,
        None => EventFile::create(folder)?,
    };
    Ok(file.insert(opened))
}

impl Callback for TensorBoard {
    fn on_train_begin(&mut self, _: &mut Model) -> Result<()> {
        self.state = TensorBoardState::default();
        if self.update_freq == UpdateFreq::Batches(0) {
            let (expected, found) = ("at least 1 batch".to_owned(), "0".to_owned());
            return Err(Error::Argument { name: "update_freq", expected, found });
        }
        Ok(())
    }

    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        self.state.batches += 1;
        let step = self.state.batches;
        match self.update_freq {
            UpdateFreq::Batches(batches) if step.is_multiple_of(batches) => {}
            _ => return ControlFlow::Continue(()),
        }
        let figures = logs.figures().into_iter().map(|(name, value)| (format!("batch_{name}"), value));
        let written = self.train().and_then(|file| file.write(step as u64, figures));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.state.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        if let Some(error) = self.state.failed.take() {
            return Err(error);
        }
        let (mut train, mut validation, mut evaluation) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in logs.figures() {
            match name.strip_prefix("val_") {
                None => train.push((format!("epoch_{name}"), value)),
                Some(name) => {
                    validation.push((format!("epoch_{name}"), value));
                    evaluation.push((format!("evaluation_{name}_vs_iterations"), value));
                }
            }
        }
        train.push(("epoch_learning_rate".to_owned(), model.learning_rate()?));
        if self.write_steps_per_second {
            let per_second = logs.batch_losses.len() as f64 / logs.seconds.max(f64::MIN_POSITIVE);
            train.push(("epoch_steps_per_second".to_owned(), per_second));
        }
        let epoch = logs.epoch.saturating_sub(1) as u64;
        self.train()?.write(epoch, train)?;
        if !validation.is_empty() {
            let iterations = model.trained("TensorBoard")?.iterations();
            let file = self.validation()?;
            file.write(iterations, evaluation)?;
            file.write(epoch, validation)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<()> {
        self.state = TensorBoardState::default();
        Ok(())
    }

    fn state(&self) -> Result<Option<CallbackState>> {
        CallbackState::new("TensorBoard", &self.state.batches).map(Some)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.state.batches = state.values()?;
        Ok(())
    }
}
