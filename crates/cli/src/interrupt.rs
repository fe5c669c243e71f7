//! Ctrl-C and SIGTERM: a training stops gracefully. A second Ctrl-C quits immediately.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use kiln::{BatchLogs, Callback, EpochLogs, Model, TestBatchLogs};

use crate::error::Error;

/// The exit status after Ctrl-C.
const CTRL_C: usize = 130;
/// The exit status after SIGTERM.
#[cfg(unix)]
const TERMINATED: usize = 143;

/// The requested exit status, 0 if none.
static ASKED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// Installs handlers: the first Ctrl-C and SIGTERM only set the exit status.
pub fn watch() -> Result<(), Error> {
    let asked = ASKED.clone();
    let on_ctrl_c = move || {
        if asked.swap(CTRL_C, Ordering::Relaxed) == CTRL_C {
            std::process::exit(CTRL_C as i32);
        }
        eprintln!("\nCtrl-C: finishing the batch and saving; press Ctrl-C again to quit immediately");
    };
    ctrlc::set_handler(on_ctrl_c).map_err(|source| Error::Signal { source: source.into() })?;
    // Not by ctrlc, which also handles SIGHUP, ignored under `nohup`, and does not distinguish signals.
    #[cfg(unix)]
    signal_hook::flag::register_usize(signal_hook::consts::SIGTERM, ASKED.clone(), TERMINATED)
        .map_err(|source| Error::Signal { source: source.into() })?;
    Ok(())
}

/// The requested exit status, if any.
pub fn asked() -> Option<u8> {
    Some(ASKED.load(Ordering::Relaxed) as u8).filter(|&status| status != 0)
}

/// Stops training, validation and evaluation after a signal.
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
