//! Trainings stopped by signals. Runs on the processor.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A data set in MNIST's format with few black images: an epoch is one batch.
fn write_data(folder: &Path) {
    for (name, extents) in kiln::data::MNIST_FILES.into_iter().zip([&[20, 28, 28][..], &[20], &[10, 28, 28], &[10]]) {
        let shape = extents.iter().flat_map(|&extent: &u32| extent.to_be_bytes());
        let header = [0, 0, 8, extents.len() as u8].into_iter().chain(shape);
        let values = std::iter::repeat_n(0, extents.iter().product::<u32>() as usize);
        std::fs::write(folder.join(name), header.chain(values).collect::<Vec<u8>>()).unwrap();
    }
}

/// Sends a signal to a running training that would take hours; returns the exit status and its last line.
fn stopped_by(signal: &str, out: &Path) -> (i32, String) {
    let data = tempfile::tempdir().unwrap();
    write_data(data.path());
    let mut training = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(["train", "lenet", "--epochs", "1000000", "--data", data.path().to_str().unwrap()])
        .args(["--out", out.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(training.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.starts_with("Epoch 2/")).unwrap();
    let pid = training.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    let last = lines.last().unwrap();
    (training.wait().unwrap().code().unwrap(), last)
}

#[test]
fn ctrl_c_saves_and_exits_with_130_and_the_signal_to_terminate_with_143() {
    for (signal, expected) in [("INT", 130), ("TERM", 143)] {
        let out = tempfile::tempdir().unwrap();
        let (status, last) = stopped_by(signal, out.path());
        assert_eq!(status, expected, "{signal}");
        assert!(last.starts_with("stopped in epoch ") && last.contains("progress is saved in"), "{last}");
        for file in ["model.json", "weights.safetensors", "history.json", "run.json", "history.png"] {
            assert!(out.path().join(file).is_file(), "{signal}: {file}");
        }
    }
}
