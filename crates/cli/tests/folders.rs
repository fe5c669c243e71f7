//! The folder of a run: nothing is overwritten or mixed up.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{fail, files, read, succeed, write_over};

const OVER: [&str; 4] = ["train", "over.json", "--data", "over.safetensors"];

fn over(folder: &Path, more: &[&str]) -> String {
    succeed(folder, &[&OVER[..], more].concat())
}

#[test]
fn a_folder_that_holds_a_training_is_only_written_over_when_that_is_asked_for() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, &["--epochs", "1", "--seed", "1"]);
    let before: Vec<Vec<u8>> =
        files(&folder.join("runs/over")).iter().map(|file| read(folder, "runs/over", file)).collect();
    let text = fail(folder, &[&OVER[..], &["--epochs", "1"]].concat());
    let expected = "runs/over: expected a folder without a training, found over.json trained on ";
    assert!(text.contains(expected) && text.contains("--overwrite") && text.contains("--resume"), "{text}");
    let after: Vec<Vec<u8>> = files(&folder.join("runs/over"))
        .iter()
        .filter(|file| *file != ".kiln.lock")
        .map(|file| read(folder, "runs/over", file))
        .collect();
    assert!(before[1..] == after[..], "the first is the lock");

    over(folder, &["--epochs", "1", "--overwrite", "--tensorboard"]);
    assert!(before[1..] != after[..] || read(folder, "runs/over", "weights.safetensors") != before[before.len() - 1]);
    over(folder, &["--epochs", "1", "--overwrite"]);
    assert_eq!(files(&folder.join("runs/over/tensorboard/train")).len(), 0, "its curves would be drawn over");
}

#[test]
fn a_run_as_the_model_begins_with_its_weights_and_goes_to_a_new_folder() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, &["--epochs", "2", "--out", "runs/ra3"]);
    let all = ["model.json", "weights.safetensors", "checkpoint.safetensors", "history.json", "run.json"];
    let before = all.map(|file| read(folder, "runs/ra3", file));

    // Steps too small to change anything.
    let tiny = ["--data", "over.safetensors", "--epochs", "1", "--learning-rate", "1e-30"];
    let text = succeed(folder, &[&["train", "runs/ra3/"], &tiny[..]].concat());
    assert!(text.contains("initial weights: runs/ra3/weights.safetensors"), "{text}");
    assert!(text.contains("saved in runs/ra3-2;"), "{text}");
    assert!(before == all.map(|file| read(folder, "runs/ra3", file)));
    assert!(read(folder, "runs/ra3-2", "weights.safetensors") == before[1]);
    let text = succeed(folder, &[&["train", "runs/ra3"], &tiny[..]].concat());
    assert!(text.contains("saved in runs/ra3-3;"), "{text}");

    let text = fail(folder, &[&["train", "runs/ra3", "--out", "runs/ra3"], &tiny[..]].concat());
    assert!(text.contains("runs/ra3: expected a folder without a training"), "{text}");
    let text = succeed(folder, &[&["train", "runs/ra3", "--out", "runs/ra3", "--overwrite"], &tiny[..]].concat());
    assert!(text.contains("initial weights: "), "{text}");
    assert!(read(folder, "runs/ra3", "weights.safetensors") == before[1]);

    // A model.json alone has no weights.
    let text = succeed(folder, &[&["train", "runs/ra3/model.json", "--out", "fresh"], &tiny[..]].concat());
    assert!(!text.contains("initial weights: "), "{text}");
    assert!(read(folder, "fresh", "weights.safetensors") != before[1]);

    // A training that began with another run's weights resumes without them.
    succeed(folder, &["train", "runs/ra3-2", "--resume", "--epochs", "2"]);
    std::fs::remove_dir_all(folder.join("runs/ra3")).unwrap();
    succeed(folder, &["train", "runs/ra3-2", "--resume", "--epochs", "3"]);
}

/// Starts a training in `run` that takes hours, and waits for its first checkpoint.
fn endless(folder: &Path) -> Child {
    let arguments = [&OVER[..], &["--epochs", "1000000000", "--out", "run"]].concat();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let training = command.args(arguments).current_dir(folder).env("KILN_DEVICE", "cpu").stdout(Stdio::null());
    let training = training.spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    while !folder.join("run/history.json").is_file() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    training
}

#[test]
fn a_second_training_in_a_folder_is_an_error_until_the_first_is_dead() {
    let folder = write_over();
    let folder = folder.path();
    let mut training = endless(folder);
    for more in [&["--overwrite"][..], &["--resume"], &["--resume-if-present"], &[]] {
        let text = fail(folder, &[&OVER[..], &["--out", "run"], more].concat());
        let expected = format!("run: another training (process {}) writes there", training.id());
        assert!(text.contains(&expected), "{more:?}: {text}");
    }
    training.kill().unwrap();
    training.wait().unwrap();
    let text = succeed(folder, &["train", "run", "--resume", "--epochs", "1"]);
    assert!(text.contains("no epoch is left"), "{text}");
}

#[test]
fn what_a_killed_save_left_is_removed_and_what_a_live_process_writes_is_not() {
    let folder = write_over();
    let folder = folder.path();
    std::fs::create_dir(folder.join("run")).unwrap();
    std::fs::write(folder.join("run/.kiln-abcdef-checkpoint.safetensors"), "half").unwrap();
    std::fs::write(folder.join("run/.kiln-uvwxyz-weights.safetensors"), "half").unwrap();
    let live = std::fs::File::open(folder.join("run/.kiln-uvwxyz-weights.safetensors")).unwrap();
    live.lock().unwrap();
    over(folder, &["--epochs", "1", "--out", "run"]);
    let hidden: Vec<String> =
        files(&folder.join("run")).into_iter().filter(|name| name.starts_with(".kiln-")).collect();
    assert_eq!(hidden, [".kiln-uvwxyz-weights.safetensors"]);
}

#[test]
fn a_folder_is_the_new_trainings_own_before_it_trains() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, &["--epochs", "2", "--out", "run"]);
    let diverging = ["--overwrite", "--learning-rate", "1e30", "--batch-size", "8", "--seed", "7", "--out", "run"];
    fail(folder, &[&OVER[..], &diverging].concat());
    // The weights are the initial ones, the last finite ones.
    assert_eq!(files(&folder.join("run")), [".kiln.lock", "model.json", "run.json", "weights.safetensors"]);
    let run = String::from_utf8(read(folder, "run", "run.json")).unwrap();
    assert!(run.contains("--seed=7"), "{run}");
    over(folder, &["--epochs", "1", "--out", "run", "--overwrite"]);
}

#[test]
fn a_new_training_that_cannot_begin_leaves_the_one_that_is_there() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, &["--epochs", "1", "--out", "run"]);
    let before = files(&folder.join("run")).iter().map(|file| read(folder, "run", file)).skip(1).collect::<Vec<_>>();
    fail(folder, &["train", "over.json", "--data", "none.safetensors", "--out", "run", "--overwrite"]);
    fail(folder, &[&OVER[..], &["--weights", "none", "--out", "run", "--overwrite"]].concat());
    let after = files(&folder.join("run")).iter().map(|file| read(folder, "run", file)).skip(1).collect::<Vec<_>>();
    assert!(before == after);
}

#[test]
fn a_new_training_that_does_not_fit_leaves_the_one_that_is_there() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, &["--epochs", "1", "--out", "run"]);
    let all = ["model.json", "weights.safetensors", "checkpoint.safetensors", "history.json", "run.json"];
    let before = all.map(|file| read(folder, "run", file));
    let model = std::fs::read_to_string(folder.join("over.json")).unwrap();
    for (name, from, to) in [
        ("narrow.json", "[null, 6]", "[null, 5]"),
        ("one.json", "\"units\": 2", "\"units\": 1"),
        ("linear.json", "softmax", "linear"),
    ] {
        assert!(model.contains(from), "{model}");
        std::fs::write(folder.join(name), model.replace(from, to)).unwrap();
    }
    for (model, more, expected) in [
        ("narrow.json", &[][..], "expects samples [5], the data set has samples [6]"),
        ("one.json", &["--loss", "categorical_crossentropy"], "expects a loss for its one output"),
        ("over.json", &["--loss", "mean_squared_error"], "values per label"),
        ("linear.json", &[], "end the network with a softmax, or pass --from-logits"),
        ("over.json", &["--reduce-lr-on-plateau", "monitor=foo"], "expected a monitor of loss, accuracy"),
    ] {
        let arguments = ["train", model, "--data", "over.safetensors", "--out", "run", "--overwrite"];
        let text = fail(folder, &[&arguments[..], more].concat());
        assert!(text.contains(expected), "{model} {more:?}: {text}");
        assert!(before == all.map(|file| read(folder, "run", file)), "{model} {more:?}");
    }
}

#[test]
fn a_training_that_cannot_begin_makes_no_folder() {
    let folder = write_over();
    let folder = folder.path();
    let before = files(folder);
    for (arguments, expected) in [
        (&["train", "lenett", "--data", "over.safetensors"][..], "unknown network `lenett`"),
        (&["train", "over.json", "--data", "none.safetensors"], "cannot read none.safetensors"),
        (&["train", "over.json", "--data", "none"], "unknown data set `none`"),
        (&["train", "over.json", "--data", "over.safetensors", "--loss", "mean_squared_error"], "values per label"),
        (&["train", "over.json", "--data", "over.safetensors", "--resume", "--out", "none"], "found no training"),
        (&["finetune", "vgg16", "--weights", "w", "--data", "none"], "unknown data set `none`"),
    ] {
        let text = fail(folder, arguments);
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert_eq!(files(folder), before, "{arguments:?}");
    }
    let (status, text) = common::kiln(folder, &["train", "lenett"]);
    assert!(status == 2 && text.contains("unknown network `lenett`"), "{text}");
}

#[test]
fn a_training_without_a_finished_epoch_is_told_from_other_folders() {
    let folder = write_over();
    let folder = folder.path();
    over(folder, &["--epochs", "1", "--out", "run"]);
    for file in files(&folder.join("run")).iter().filter(|file| *file != "run.json") {
        std::fs::remove_file(folder.join("run").join(file)).unwrap();
    }
    for arguments in
        [&["evaluate", "run"][..], &["predict", "run", "a.png"], &["summary", "run"], &["train", "run", "--resume"]]
    {
        let text = fail(folder, arguments);
        assert!(text.contains("run: the training there has not finished an epoch"), "{arguments:?}: {text}");
    }
}
