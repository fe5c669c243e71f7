//! What watches over a training: its time, and its files.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln::{Callback, EpochLogs, History, Model};

use crate::commands::run::Run;

/// The file from which a training goes on.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// Stops a training when the next epoch would not fit into its time.
pub struct Budget {
    time: Option<Duration>,
    began: Option<Instant>,
    epochs: u32,
}

impl Budget {
    /// So many minutes, or no limit.
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

/// Saves model, run.json, history and checkpoint after every epoch.
pub struct Saver<'a> {
    out: &'a Path,
    run: Run,
    history: History,
}

impl Saver<'_> {
    /// Saves into a folder. The history begins with that of the epochs before.
    pub fn new(out: &Path, run: Run, before: History) -> Saver<'_> {
        Saver { out, run, history: before }
    }

    /// The figures of all epochs, also of those before.
    pub fn history(self) -> History {
        self.history
    }
}

impl Callback for Saver<'_> {
    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.history.epochs.push(logs.clone());
        model.save(self.out)?;
        // With the model, not before it: what lies in the folder until then is of another run.
        self.run.save(self.out).map_err(|error| kiln::Error::File {
            action: "write",
            path: self.out.to_owned(),
            source: io::Error::other(error),
        })?;
        self.history.save(self.out)?;
        if logs.complete {
            model.save_checkpoint(self.out.join(CHECKPOINT))?;
        }
        Ok(ControlFlow::Continue(()))
    }
}
