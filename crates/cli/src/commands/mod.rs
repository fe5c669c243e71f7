//! One file per command.

use std::io::Write;

mod augment;
pub mod augment_preview;
pub mod bench;
pub mod check;
pub mod data;
pub mod devices;
pub mod evaluate;
pub mod features;
pub mod finetune;
#[cfg(test)]
mod fuzz;
mod network;
mod pictures;
pub mod predict;
pub mod profile;
mod run;
mod run_folder;
mod source;
mod spec;
pub mod summary;
pub mod train;
mod weights;

/// Prints a text that may be long. Whoever reads it may hang up early, as `head` does.
fn show(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
