//! Shared by the tests of the command: calls, small data sets, and output files.

#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

use std::path::Path;
use std::process::Command;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// Runs a command on the processor; returns the exit status and both outputs.
pub fn kiln(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let output = command.args(arguments).current_dir(folder).env("KILN_DEVICE", "cpu").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// The output of a command that succeeds.
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let (status, text) = kiln(folder, arguments);
    assert_eq!(status, 0, "{arguments:?}: {text}");
    text
}

/// The output of a command that fails.
pub fn fail(folder: &Path, arguments: &[&str]) -> String {
    let (status, text) = kiln(folder, arguments);
    assert_eq!(status, 1, "{arguments:?}: {text}");
    text
}

/// A folder with `over.json` and `over.safetensors`: a network of two dense layers, and 60 samples of two classes with
/// random labels.
pub fn write_over() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["over.json", "over.safetensors"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
        std::fs::copy(from, folder.path().join(file)).unwrap();
    }
    folder
}

/// Pictures of two classes in `photos/train` and `photos/test`.
pub fn write_pictures(folder: &Path, classes: [&str; 2]) {
    for (part, count) in [("train", 8), ("test", 4)] {
        for (class, level) in classes.into_iter().zip([200, 30]) {
            let into = folder.join("photos").join(part).join(class);
            std::fs::create_dir_all(&into).unwrap();
            for i in 0..count {
                let pixel = |x: u32, y: u32| Rgb([level + (x * 3 + i) as u8 % 40, level, level + y as u8]);
                RgbImage::from_fn(28, 28, pixel).save(into.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

/// A file of a run.
pub fn read(folder: &Path, run: &str, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(run).join(file)).unwrap()
}

/// The losses of training and validation of each epoch of a run.
pub fn epochs(folder: &Path, run: &str) -> Vec<[f64; 2]> {
    let history = kiln::History::load(folder.join(run)).unwrap();
    history.epochs.iter().map(|logs| [logs.loss, logs.val_loss.unwrap_or(f64::NAN)]).collect()
}

/// The sorted names of a folder's entries.
pub fn files(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}
