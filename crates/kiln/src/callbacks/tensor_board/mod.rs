//! Figures that TensorBoard draws.

mod event_file;
mod record;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{BatchLogs, Callback, CallbackState};
use crate::history::EpochLogs;
use crate::{Error, Model, Result};
use event_file::EventFile;

/// Writes the figures of a training into event files, as Keras' `TensorBoard` does; `tensorboard --logdir logs` draws
/// them, also while training goes on.
///
/// In `log_dir/train` lie `epoch_loss`, `epoch_accuracy` and `epoch_learning_rate`, in `log_dir/validation`
/// `epoch_loss` and `epoch_accuracy`, all over the epochs, the first being 0 as in Keras, and
/// `evaluation_loss_vs_iterations` and `evaluation_accuracy_vs_iterations` over the steps. With
/// [`UpdateFreq::Batches`] there are `batch_loss` and `batch_accuracy` of the epoch so far, over the training's steps.
/// Histograms, graphs, images, profiles and embeddings are not written.
///
/// # Example
/// ```
/// use kiln::callbacks::{TensorBoard, UpdateFreq};
///
/// let mut tensor_board = TensorBoard { update_freq: UpdateFreq::Batches(100), ..TensorBoard::new("logs/lenet") };
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    /// The folder. Another training needs another one, or its curves are drawn over these.
    pub log_dir: PathBuf,
    /// Whether `epoch_steps_per_second` is written too.
    pub write_steps_per_second: bool,
    /// How often figures are written, beside those of each epoch.
    pub update_freq: UpdateFreq,
    /// What training leaves here: `Default::default()` to begin with.
    pub state: TensorBoardState,
}

/// How often a [`TensorBoard`] writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateFreq {
    /// After each epoch.
    #[default]
    Epoch,
    /// Also after each batch whose number in the training, the first being 1, can be divided by this one.
    Batches(usize),
}

/// What a [`TensorBoard`] keeps from batch to batch. Each training starts anew, in files of its own; one that is resumed
/// goes on with the number of batches.
#[derive(Debug, Default)]
pub struct TensorBoardState {
    train: Option<EventFile>,
    validation: Option<EventFile>,
    batches: usize,
    /// Why a batch's figures could not be written: told when its epoch ends.
    failed: Option<Error>,
}

impl Default for TensorBoard {
    fn default() -> TensorBoard {
        TensorBoard::new("logs")
    }
}

impl TensorBoard {
    /// Writes the figures of each epoch into a folder.
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

/// The file, made when it is first needed, so that there is none without figures.
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
            let iterations = model.trained("TensorBoard")?.progress()?.iterations;
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
