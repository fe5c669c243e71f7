//! The files written by callbacks in real trainings.

use std::path::Path;

use kiln::callbacks::{CSVLogger, EarlyStopping, ModelCheckpoint, TensorBoard, UpdateFreq};
use kiln::{Compile, EpochLogs, Fit, Model};

use crate::callbacks::{compiled_with_rate, fit_with};
use crate::common::{bars, bits, compiled, device, files, model};

#[test]
fn checkpoints_have_the_epoch_and_its_figures_in_their_names_and_training_goes_on_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = ModelCheckpoint {
        period: 2,
        ..ModelCheckpoint::new(format!("{}/a/{{epoch:02d}}-{{val_loss:.3f}}", folder.path().display()))
    };
    let mut trained = compiled();
    let history = fit_with(&mut trained, 5, vec![&mut checkpoint]).unwrap();
    let name = |epoch: usize| format!("{epoch:02}-{:.3}", history.epochs[epoch - 1].val_loss.unwrap());
    assert_eq!(files(&folder.path().join("a")), [name(2), name(4)]);

    let second = folder.path().join("a").join(name(2));
    assert_eq!(files(&second), ["checkpoint.safetensors", "model.json", "weights.safetensors"]);
    let mut resumed = Model::load(&second).unwrap();
    resumed.compile(device(), Compile::default()).unwrap();
    let initial_epoch = resumed.load_checkpoint(second.join("checkpoint.safetensors")).unwrap();
    let fit = Fit { epochs: 5, initial_epoch, validation_split: 0.3, seed: 5, ..Fit::default() };
    resumed.fit(&bars(70), fit).unwrap();
    assert_eq!(bits(&resumed.get_weights().unwrap()), bits(&trained.get_weights().unwrap()));
}

#[test]
fn the_best_model_alone_is_kept_under_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/best.safetensors");
    let mut checkpoint = ModelCheckpoint {
        save_best_only: true,
        save_weights_only: true,
        ..ModelCheckpoint::new(path.display().to_string())
    };
    let mut stopping = EarlyStopping { patience: 2, restore_best_weights: true, ..EarlyStopping::default() };
    let mut trained = compiled_with_rate(3.0);
    fit_with(&mut trained, 40, vec![&mut checkpoint, &mut stopping]).unwrap();
    assert_eq!(checkpoint.best(), stopping.best());
    let mut loaded = model();
    loaded.load_weights(&path).unwrap();
    assert_eq!(bits(&loaded.get_weights().unwrap()), bits(&trained.get_weights().unwrap()));
    assert_eq!(files(path.parent().unwrap()), ["best.safetensors"]);
}
#[test]
fn a_csv_file_has_a_line_per_epoch_with_kerases_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/training.csv");
    let mut logger = CSVLogger::new(&path);
    let history = fit_with(&mut compiled(), 2, vec![&mut logger]).unwrap();
    let row = |logs: &EpochLogs| {
        let (val_loss, val_accuracy) = (logs.val_loss.unwrap(), logs.get("val_accuracy").unwrap());
        format!("{},{},{},{val_loss},{val_accuracy}\n", logs.epoch - 1, logs.loss, logs.accuracy().unwrap())
    };
    let head = "epoch,loss,accuracy,val_loss,val_accuracy\n".to_owned();
    let written = head.clone() + &row(&history.epochs[0]) + &row(&history.epochs[1]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);

    let mut logger = CSVLogger { append: true, ..CSVLogger::new(&path) };
    let fit = Fit { epochs: 3, initial_epoch: 2, ..Fit::default() };
    let third = compiled().fit_with_callbacks(&bars(70), fit, &mut [&mut logger]).unwrap();
    let logs = &third.epochs[0];
    let written = written + &format!("2,{},{},NA,NA\n", logs.loss, logs.accuracy().unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);

    let mut logger = CSVLogger { separator: ';', ..CSVLogger::new(&path) };
    let fit = Fit { epochs: 1, ..Fit::default() };
    compiled().fit_with_callbacks(&bars(70), fit, &mut [&mut logger]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("epoch;loss;accuracy;val_loss;val_accuracy\n0;"), "{text}");
    assert!(text.ends_with(";NA;NA\n") && text.lines().count() == 2, "{text}");
}

#[test]
fn lines_are_not_added_to_a_file_of_another_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "to be kept\n").unwrap();
    let mut logger = CSVLogger { append: true, ..CSVLogger::new(&path) };
    let error = fit_with(&mut compiled(), 1, vec![&mut logger]).unwrap_err().to_string();
    assert!(error.ends_with("expected a first line that begins with `epoch,`, found `to be kept`"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "to be kept\n");
}
/// The tags of an event file and their counts.
fn tags(folder: &Path) -> Vec<(String, usize)> {
    let [name] = &files(folder)[..] else { panic!("expected one file in {}", folder.display()) };
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let tags = ["batch_loss", "epoch_loss", "epoch_accuracy", "epoch_learning_rate", "epoch_steps_per_second"];
    let tags = tags.into_iter().chain(["evaluation_loss_vs_iterations", "evaluation_accuracy_vs_iterations"]);
    tags.map(|tag| (tag.to_owned(), text.matches(tag).count())).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn event_files_hold_the_figures_of_training_and_validation_apart() {
    let folder = tempfile::tempdir().unwrap();
    let update_freq = UpdateFreq::Batches(2);
    let mut board = TensorBoard { update_freq, write_steps_per_second: true, ..TensorBoard::new(folder.path()) };
    // Seven batches per epoch.
    let fit = Fit { epochs: 3, batch_size: 7, validation_split: 0.3, ..Fit::default() };
    compiled().fit_with_callbacks(&bars(70), fit, &mut [&mut board]).unwrap();
    assert_eq!(files(folder.path()), ["train", "validation"]);
    let named = |tags: &[(&str, usize)]| tags.iter().map(|(tag, n)| ((*tag).to_owned(), *n)).collect::<Vec<_>>();
    let epochs = [("epoch_loss", 3), ("epoch_accuracy", 3), ("epoch_learning_rate", 3), ("epoch_steps_per_second", 3)];
    assert_eq!(tags(&folder.path().join("train")), named(&[&[("batch_loss", 10)], &epochs[..]].concat()));
    let validation = [("evaluation_loss_vs_iterations", 3), ("evaluation_accuracy_vs_iterations", 3)];
    assert_eq!(tags(&folder.path().join("validation")), named(&[&epochs[..2], &validation].concat()));

    compiled().fit_with_callbacks(&bars(70), Fit::default(), &mut [&mut board]).unwrap();
    assert_eq!(files(&folder.path().join("train")).len(), 2, "another training has a file of its own");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let update_freq = UpdateFreq::Batches(1);
    let mut board = TensorBoard { update_freq, ..TensorBoard::new(file.join("logs")) };
    let error = fit_with(&mut compiled(), 1, vec![&mut board]).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("logs/train"), "{error}");
}
