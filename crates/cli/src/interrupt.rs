//! Ctrl-C: once to end in good order, twice to end at once.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln::{BatchLogs, Callback};

use crate::error::Error;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The exit status of what was ended with Ctrl-C.
pub const EXIT: u8 = 130;

/// From now on, the first Ctrl-C only sets a flag.
pub fn watch() -> Result<(), Error> {
    let result = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT));
        }
        eprintln!("\nCtrl-C: finishing the batch and saving; once more to quit at once");
    });
    result.map_err(|source| Error::Signal { source })
}

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Stops a training when Ctrl-C was pressed.
pub struct Interrupt;

impl Callback for Interrupt {
    fn on_batch_end(&mut self, _: &BatchLogs) -> ControlFlow<()> {
        if interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
