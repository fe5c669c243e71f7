//! Callbacks that limit a training's time and save its files.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln::callbacks::CallbackState;
use kiln::{Callback, EpochLogs, Error, History, Model};

use crate::commands::run_folder::CHECKPOINT;

/// Stops a training when the next epoch would exceed its time.
pub struct Budget {
    time: Option<Duration>,
    began: Option<Instant>,
    epochs: u32,
}

impl Budget {
    /// A limit in minutes, or none.
    pub fn new(minutes: Option<f64>) -> Budget {
        Budget { time: minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes)), began: None, epochs: 0 }
    }
}

impl Callback for Budget {
    fn on_epoch_begin(&mut self, _: &mut Model, _: usize, _: usize) -> kiln::Result<ControlFlow<()>> {
        self.began.get_or_insert_with(Instant::now);
        Ok(ControlFlow::Continue(()))
    }

    fn on_epoch_end(&mut self, _: &mut Model, _: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.epochs += 1;
        let spent = self.began.map(|began| began.elapsed()).unwrap_or_default();
        match self.time {
            Some(time) if spent + spent / self.epochs > time => Ok(ControlFlow::Break(())),
            _ => Ok(ControlFlow::Continue(())),
        }
    }
}

/// Saves model, checkpoint and history after every epoch, in this order: if the training is killed in between, the
/// model is at least as new as the checkpoint, and the checkpoint, which has the figures of its last epoch, at least as
/// new as the history.
pub struct Saver<'a> {
    out: &'a Path,
    history: History,
}

impl Saver<'_> {
    /// Saves to a folder, with the history of previous epochs.
    pub fn new(out: &Path, before: History) -> Saver<'_> {
        Saver { out, history: before }
    }

    /// The figures of all epochs, including previous ones.
    pub fn history(self) -> History {
        self.history
    }
}

impl Callback for Saver<'_> {
    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.history.epochs.push(logs.clone());
        model.save(self.out)?;
        if !logs.complete {
            self.history.save(self.out)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn on_checkpoint(&mut self, model: &mut Model, _: &EpochLogs) -> kiln::Result<()> {
        model.save_checkpoint(self.out.join(CHECKPOINT))?;
        self.history.save(self.out)
    }

    fn state(&self) -> kiln::Result<Option<CallbackState>> {
        CallbackState::new("kiln train", &self.history.epochs.last()).map(Some)
    }

    fn restore(&mut self, state: &CallbackState) -> kiln::Result<()> {
        let Some(last) = state.values::<Option<EpochLogs>>()? else { return Ok(()) };
        let epochs = &mut self.history.epochs;
        epochs.truncate(last.epoch);
        if epochs.len() + 1 == last.epoch {
            epochs.push(last);
        } else if epochs.len() < last.epoch {
            let found = format!("{} epochs in history.json", epochs.len());
            let problem = format!("expected the figures of the {} epochs before, found {found}", last.epoch);
            return Err(Error::CallbackState { name: state.name().to_owned(), problem });
        }
        Ok(())
    }
}
