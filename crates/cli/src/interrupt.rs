//! Ctrl-C and the signal to terminate: a training ends in good order. Ctrl-C twice ends it at once.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use kiln::{BatchLogs, Callback, EpochLogs, Model, TestBatchLogs};

use crate::error::Error;

/// The exit status of what was ended with Ctrl-C.
const CTRL_C: usize = 130;
/// The exit status of what was asked to terminate.
#[cfg(unix)]
const TERMINATED: usize = 143;

/// The exit status that was asked for, 0 if none was.
static ASKED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// From now on, the first Ctrl-C and the signal to terminate only set the exit status.
pub fn watch() -> Result<(), Error> {
    let asked = ASKED.clone();
    let on_ctrl_c = move || {
        if asked.swap(CTRL_C, Ordering::Relaxed) == CTRL_C {
            std::process::exit(CTRL_C as i32);
        }
        eprintln!("\nCtrl-C: finishing the batch and saving; once more to quit at once");
    };
    ctrlc::set_handler(on_ctrl_c).map_err(|source| Error::Signal { source: source.into() })?;
    // Not by ctrlc: that also takes the signal of a closed terminal, which `nohup` has ignored, and does not tell which
    // it was.
    #[cfg(unix)]
    signal_hook::flag::register_usize(signal_hook::consts::SIGTERM, ASKED.clone(), TERMINATED)
        .map_err(|source| Error::Signal { source: source.into() })?;
    Ok(())
}

/// The exit status that was asked for, if one was.
pub fn asked() -> Option<u8> {
    Some(ASKED.load(Ordering::Relaxed) as u8).filter(|&status| status != 0)
}

/// Stops training, validation and evaluation when that was asked for.
pub struct Interrupt;

impl Interrupt {
    fn flow(&self) -> ControlFlow<()> {
        if asked().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Callback for Interrupt {
    fn on_batch_end(&mut self, _: &BatchLogs) -> ControlFlow<()> {
        self.flow()
    }

    fn on_test_batch_end(&mut self, _: &TestBatchLogs) -> ControlFlow<()> {
        self.flow()
    }

    fn on_epoch_end(&mut self, _: &mut Model, _: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        Ok(self.flow())
    }
}
