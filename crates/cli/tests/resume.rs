//! Resumed trainings: bit-identical to uninterrupted ones, or refused.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{epochs, fail, kiln, read, succeed, write_over, write_pictures};

/// A network that overfits: the validation loss is smallest after the first epoch.
const OVER: [&str; 6] = ["train", "over.json", "--data", "over.safetensors", "--validation-split", "0.5"];
/// Its learning rate, and one with which the first epoch diverges.
const RATE: [&str; 2] = ["--learning-rate", "0.1"];
const DIVERGING: [&str; 4] = ["--learning-rate", "1e30", "--batch-size", "8"];

/// Trains it in a folder, with more arguments.
fn over(folder: &Path, out: &str, more: &[&str]) -> String {
    succeed(folder, &[&OVER[..], &RATE, &["--out", out], more].concat())
}

/// The tensors of a run's checkpoint: weights, the optimizer's slots, the best weights. (The metadata have times.)
fn checkpoint(folder: &Path, run: &str) -> Vec<u8> {
    let bytes = read(folder, run, "checkpoint.safetensors");
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

/// Expects the training to fail.
fn over_fails(folder: &Path, out: &str, more: &[&str]) -> String {
    fail(folder, &[&OVER[..], &["--out", out], more].concat())
}

#[test]
fn a_training_with_patience_ends_as_one_that_was_not_interrupted() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, "whole", &["--patience", "4", "--epochs", "8"]);
    let whole = epochs(folder, "whole");
    assert_eq!(whole.len(), 5, "{whole:?}");

    for (index, stop) in ["1", "2", "3", "4"].into_iter().enumerate() {
        let out = format!("part{index}");
        over(folder, &out, &["--patience", "4", "--epochs", stop]);
        let text = succeed(folder, &["train", "over.json", "--resume", "--epochs", "8", "--out", &out]);
        assert!(text.contains(&format!("resuming after epoch {stop}")) && text.contains("--patience=4"), "{text}");
        assert_eq!(epochs(folder, &out), whole, "stopped at {stop}");
        for file in ["weights.safetensors", "model.json"] {
            assert!(read(folder, &out, file) == read(folder, "whole", file), "{file}, stopped at {stop}");
        }
        assert!(checkpoint(folder, &out) == checkpoint(folder, "whole"), "stopped at {stop}");
    }

    let text = succeed(folder, &["train", "whole", "--resume"]);
    assert!(text.contains("no epoch is left after epoch 5: it was stopped early"), "{text}");
    assert!(read(folder, "whole", "weights.safetensors") == read(folder, "part0", "weights.safetensors"));
    let text = succeed(folder, &["train", "whole", "--resume", "--patience", "5"]);
    assert!(text.contains("changed: --patience: 4 before, 5 now") && text.contains("Epoch 6/8"), "{text}");
}

#[test]
fn a_training_in_shards_goes_on_in_shards() {
    let folder = write_over();
    let folder = folder.path();
    let accumulate = ["--accumulate", "3", "--batch-size", "10", "--epochs"];
    over(folder, "whole", &[&accumulate[..], &["4"]].concat());
    over(folder, "part", &[&accumulate[..], &["2"]].concat());
    let text = succeed(folder, &["train", "part", "--resume", "--epochs", "4"]);
    assert!(text.contains("--accumulate=3") && text.contains("batches of 10 in 3 shards"), "{text}");
    assert!(checkpoint(folder, "part") == checkpoint(folder, "whole"));
    let run: serde_json::Value = serde_json::from_slice(&read(folder, "part", "run.json")).unwrap();
    assert_eq!(run["accumulate"], 3);
}

#[test]
fn a_learning_rate_takes_effect_and_is_written_down() {
    let folder = write_over();
    let folder = folder.path();
    for out in ["same", "other"] {
        over(folder, out, &["--epochs", "2"]);
    }
    let same = succeed(folder, &["train", "same", "--resume", "--epochs", "4", "--learning-rate", "1e-1"]);
    assert!(same.contains("resuming after epoch 2, with a learning rate of 0.1\n"), "{same}");
    assert!(!same.contains("changed: --learning-rate"), "{same}");
    let other = succeed(folder, &["train", "other", "--resume", "--epochs", "4", "--learning-rate", "0.001"]);
    assert!(other.contains("resuming after epoch 2, with a learning rate of 0.001\n"), "{other}");
    assert!(other.contains("changed: --learning-rate: 0.1 before, 0.001 now"), "{other}");
    let run = String::from_utf8(read(folder, "other", "run.json")).unwrap();
    assert!(run.contains("--learning-rate=0.001") && run.contains("learning_rate: 0.001"), "{run}");
    let moved = |out: &str| {
        let epochs = epochs(folder, out);
        (epochs[3][0] - epochs[2][0]).abs()
    };
    assert!(moved("other") < moved("same") / 4.0, "{} {}", moved("other"), moved("same"));
    over(folder, "whole", &["--epochs", "4"]);
    assert!(read(folder, "same", "weights.safetensors") == read(folder, "whole", "weights.safetensors"));
}

#[test]
fn what_would_be_another_training_is_refused_and_changes_nothing() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, "run", &["--epochs", "2", "--seed", "3"]);
    let files = ["weights.safetensors", "checkpoint.safetensors", "run.json", "history.json"];
    let before = files.map(|file| read(folder, "run", file));
    let resume = |more: &[&str]| fail(folder, &[&["train", "over.json", "--resume", "--out", "run"], more].concat());

    let text = resume(&["--seed", "4", "--batch-size", "7", "--validation-split", "0.25", "--no-shuffle"]);
    for line in [
        "--seed: 3 before, 4 now",
        "--batch-size: 128 before, 7 now",
        "--validation-split: 0.5 before, 0.25 now",
        "--no-shuffle: not given before, given now",
    ] {
        assert!(text.contains(&format!("\n  {line}\n")), "{line} in {text}");
    }
    for (option, value) in [("--loss", "mean_squared_error"), ("--optimizer", "sgd"), ("--augment", "zoom_range=0.1")] {
        let text = resume(&[option, value]);
        assert!(text.contains(&format!("{option}: ")) && text.contains(&format!("{value} now")), "{text}");
    }

    let text = std::fs::read_to_string(folder.join("over.json")).unwrap();
    std::fs::write(folder.join("wide.json"), text.replace("\"units\": 64", "\"units\": 65")).unwrap();
    let text = fail(folder, &["train", "wide.json", "--resume", "--out", "run"]);
    assert!(text.contains("network: over.json before, a different one from wide.json now"), "{text}");

    let mut data = std::fs::read(folder.join("over.safetensors")).unwrap();
    let label = data.len() - 4; // the lowest byte of the last label, an i32
    data[label] ^= 1;
    std::fs::write(folder.join("relabelled.safetensors"), data).unwrap();
    let text = resume(&["--data", "relabelled.safetensors"]);
    assert!(text.contains("--data: the samples, or their order, are different"), "{text}");
    assert!(before == files.map(|file| read(folder, "run", file)));

    // The same data in another place are the same.
    std::fs::rename(folder.join("over.safetensors"), folder.join("moved.safetensors")).unwrap();
    let resume = ["train", "over.json", "--resume", "--epochs", "3", "--data", "moved.safetensors", "--out", "run"];
    succeed(folder, &resume);
    assert_eq!(epochs(folder, "run").len(), 3);
}

#[test]
fn renamed_classes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_pictures(folder, ["bright", "dark"]);
    succeed(folder, &["train", "lenet", "--data", "photos", "--epochs", "1", "--batch-size", "4"]);
    for part in ["train", "test"] {
        std::fs::rename(folder.join("photos").join(part).join("dark"), folder.join("photos").join(part).join("dim"))
            .unwrap();
    }
    let text = fail(folder, &["train", "lenet", "--resume", "--epochs", "2"]);
    assert!(text.contains("classes of --data: bright, dark before, bright, dim now"), "{text}");
    let text = fail(folder, &["train", "lenet", "--resume", "--epochs", "2", "--grayscale"]);
    assert!(text.contains("--grayscale: not given before, given now"), "{text}");
}

#[test]
fn where_nothing_can_be_resumed_the_error_says_why() {
    let folder = write_over();
    let folder = folder.path();
    let text = over_fails(folder, "none", &["--resume"]);
    assert!(text.contains("none: expected a training to resume, found no training;"), "{text}");

    over(folder, "run", &["--epochs", "1"]);
    over_fails(folder, "run", &[&DIVERGING[..], &["--overwrite"]].concat());
    assert!(!folder.join("run/checkpoint.safetensors").exists(), "that of the training before is gone");
    let text = over_fails(folder, "run", &["--resume"]);
    assert!(text.contains("found a training that ended during its first epoch;"), "{text}");

    over(folder, "old", &["--epochs", "1"]);
    std::fs::remove_file(folder.join("old/run.json")).unwrap();
    let text = over_fails(folder, "old", &["--resume"]);
    assert!(text.contains("a checkpoint, but no run.json"), "{text}");
    std::fs::remove_file(folder.join("old/checkpoint.safetensors")).unwrap();
    for resume in ["--resume", "--resume-if-present"] {
        let text = over_fails(folder, "old", &[resume]);
        assert!(text.contains("found a model without a checkpoint"), "{text}");
    }
}

#[test]
fn a_job_that_is_started_again_and_again_goes_on_if_there_is_something() {
    let folder = write_over();
    let folder = folder.path();
    let job = ["--resume-if-present", "--patience", "4", "--epochs", "8"];
    // Fails during its first epoch.
    over_fails(folder, "run", &DIVERGING);
    let first = over(folder, "run", &job);
    assert!(!first.contains("resuming after") && first.contains("Epoch 1/8"), "{first}");
    let weights = read(folder, "run", "weights.safetensors");
    let second = over(folder, "run", &job);
    assert!(second.contains("resuming after epoch 5") && second.contains("no epoch is left"), "{second}");
    assert!(weights == read(folder, "run", "weights.safetensors"));
}

#[test]
#[cfg(unix)]
fn a_training_that_is_killed_again_and_again_ends_with_the_same_bits() {
    use std::os::unix::process::ExitStatusExt;
    use std::time::Duration;

    let folder = write_over();
    let folder = folder.path();
    let arguments = ["--epochs", "150", "--batch-size", "4", "--patience", "150"];
    over(folder, "whole", &arguments);
    let mut killed = 0;
    for milliseconds in [150, 230, 310, 170, 390, 190, 450, 210, 530, 250] {
        let mut training = Command::new(env!("CARGO_BIN_EXE_kiln"))
            .args([&OVER[..], &RATE, &["--out", "part", "--resume-if-present"], &arguments].concat())
            .current_dir(folder)
            .env("KILN_DEVICE", "cpu")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        training.kill().unwrap();
        let output = training.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let by_the_signal = output.status.signal() == Some(9);
        assert!(by_the_signal || output.status.success(), "{text}");
        killed += usize::from(by_the_signal);
    }
    assert!(killed > 0, "each training ended before it was killed");
    over(folder, "part", &[&["--resume-if-present"], &arguments[..]].concat());
    assert_eq!(epochs(folder, "part"), epochs(folder, "whole"));
    assert!(read(folder, "part", "weights.safetensors") == read(folder, "whole", "weights.safetensors"));
    assert!(checkpoint(folder, "part") == checkpoint(folder, "whole"));
    assert_eq!(common::files(&folder.join("part")), common::files(&folder.join("whole")));
}

#[test]
fn a_command_that_resumes_needs_no_other_option_of_the_training() {
    let folder = write_over();
    let folder = folder.path();
    let options = ["--optimizer", "sgd", "--momentum", "0.5", "--batch-size", "16", "--no-shuffle"];
    over(folder, "whole", &[&options[..], &["--epochs", "4"]].concat());
    over(folder, "part", &[&options[..], &["--epochs", "2"]].concat());
    let text = succeed(folder, &["train", "part", "--resume", "--epochs", "4"]);
    assert!(text.contains("--optimizer=sgd") && text.contains("--no-shuffle"), "{text}");
    assert!(read(folder, "part", "weights.safetensors") == read(folder, "whole", "weights.safetensors"));
    let (status, text) = kiln(folder, &["train", "part", "--resume", "--momentum", "0.9"]);
    assert!(status == 1 && text.contains("--momentum: 0.5 before, 0.9 now"), "{text}");
}

#[test]
fn a_resumed_training_without_an_epoch_left_writes_down_no_other_options() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, "run", &["--epochs", "3"]);
    let before = ["run.json", "weights.safetensors"].map(|file| read(folder, "run", file));
    for more in [&["--learning-rate", "0.05"][..], &["--epochs", "2"]] {
        let text = succeed(folder, &[&["train", "run", "--resume"], more].concat());
        assert!(text.contains("no epoch is left after epoch"), "{more:?}: {text}");
        assert!(before == ["run.json", "weights.safetensors"].map(|file| read(folder, "run", file)), "{more:?}");
    }
}
