//! One file per command.

use std::io::Write;

mod augment;
pub mod augment_preview;
pub mod bench;
pub mod check;
pub mod convert;
pub mod data;
pub mod devices;
pub mod evaluate;
pub mod features;
pub mod finetune;
#[cfg(test)]
mod fuzz;
pub mod network;
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

/// A count with its noun, from the plural: `1 sample`, `2 samples`.
fn counted(count: usize, things: &str) -> String {
    let one = things.strip_suffix('s').filter(|_| count == 1);
    format!("{count} {}", one.unwrap_or(things))
}

/// Prints a text that may be long; the reader may close the pipe early, as `head` does.
fn show(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_of_several_things_has_no_plural() {
        let words = [0, 1, 2].map(|count| counted(count, "test images"));
        assert_eq!(words, ["0 test images", "1 test image", "2 test images"]);
    }
}
