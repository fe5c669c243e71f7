//! Callbacks: what they decide for figures that Keras' own were told of, and what they leave of real trainings.

use std::path::Path;

use kiln::callbacks::{
    CSVLogger, EarlyStopping, LearningRateScheduler, Mode, ModelCheckpoint, ReduceLROnPlateau, TensorBoard,
    TerminateOnNaN, UpdateFreq,
};
use kiln::optimizers::SGD;
use kiln::{Callback, Compile, EpochLogs, Error, Fit, History, Sequential};
use serde_json::Value;

use crate::common::{bars, bits, close, compiled, device, model};

/// The cases that Keras was told of, by the callback's name. `tests/peers/callbacks.py` recorded them.
fn recorded(callback: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/callbacks.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file[callback].as_array().unwrap().clone()
}

fn values(case: &Value) -> Vec<f64> {
    let value = |value: &Value| value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap());
    case["values"].as_array().unwrap().iter().map(value).collect()
}

fn number(case: &Value, argument: &str, default: f64) -> f64 {
    case["arguments"][argument].as_f64().unwrap_or(default)
}

fn whole(case: &Value, argument: &str, default: usize) -> usize {
    number(case, argument, default as f64) as usize
}

fn mode(case: &Value) -> Mode {
    if case["arguments"]["mode"] == "max" { Mode::Max } else { Mode::Auto }
}

/// Gives all weights the value.
fn mark(model: &mut Sequential, value: f32) {
    let mut weights = model.get_weights().unwrap();
    weights.iter_mut().for_each(|weight| weight.values.fill(value));
    model.set_weights(&weights).unwrap();
}

/// Tells a callback of the ends of epochs until it stops training. Gives what `seen` sees of the model after each.
/// The model's weights are the epoch's number.
fn tell<T>(
    model: &mut Sequential,
    callback: &mut dyn Callback,
    val_losses: &[f64],
    seen: impl Fn(&Sequential) -> T,
) -> (Vec<T>, bool) {
    callback.on_train_begin(model).unwrap();
    let (mut all, mut stopped) = (Vec::new(), false);
    for (i, &val_loss) in val_losses.iter().enumerate() {
        mark(model, (i + 1) as f32);
        assert!(callback.on_epoch_begin(model, i + 1, val_losses.len()).unwrap().is_continue());
        let logs = EpochLogs { epoch: i + 1, val_loss: Some(val_loss), complete: true, ..EpochLogs::default() };
        stopped = callback.on_epoch_end(model, &logs).unwrap().is_break();
        all.push(seen(model));
        if stopped {
            break;
        }
    }
    callback.on_train_end(model).unwrap();
    (all, stopped)
}

#[test]
fn early_stopping_stops_when_kerases_does_and_restores_the_same_epochs_weights() {
    for case in recorded("early_stopping") {
        let mut stopping = EarlyStopping {
            min_delta: number(&case, "min_delta", 0.0),
            patience: whole(&case, "patience", 0),
            mode: mode(&case),
            baseline: case["arguments"]["baseline"].as_f64(),
            restore_best_weights: case["arguments"]["restore_best_weights"] == true,
            start_from_epoch: whole(&case, "start_from_epoch", 0),
            ..EarlyStopping::default()
        };
        let mut model = model();
        let (epochs, stopped) = tell(&mut model, &mut stopping, &values(&case), |_| ());
        assert_eq!(epochs.len(), case["epochs"].as_u64().unwrap() as usize, "{case}");
        assert_eq!(stopped, case["stopped"] == true, "{case}");
        assert_eq!(stopping.stopped_epoch(), stopped.then_some(epochs.len()), "{case}");
        assert_eq!(stopping.best(), case["best"].as_f64(), "{case}");
        assert_eq!(f64::from(model.get_weights().unwrap()[0].values[0]), case["weights_of_epoch"], "{case}");
    }
}

#[test]
fn the_learning_rate_is_reduced_when_keras_reduces_it() {
    for case in recorded("reduce_lr_on_plateau") {
        let default = ReduceLROnPlateau::default();
        let mut reduce = ReduceLROnPlateau {
            factor: number(&case, "factor", default.factor),
            patience: whole(&case, "patience", default.patience),
            mode: mode(&case),
            min_delta: number(&case, "min_delta", default.min_delta),
            cooldown: whole(&case, "cooldown", default.cooldown),
            min_lr: number(&case, "min_lr", default.min_lr),
            ..default
        };
        let mut model = compiled_with_rate(0.1);
        let (rates, _) = tell(&mut model, &mut reduce, &values(&case), |model| model.learning_rate().unwrap());
        let expected = case["learning_rates"].as_array().unwrap();
        assert_eq!(rates.len(), expected.len());
        for (found, expected) in rates.iter().zip(expected) {
            assert!(close(*found, expected.as_f64().unwrap(), 1e-6), "{case}: found {rates:?}");
        }
    }
}

#[test]
fn models_are_saved_when_keras_saves_them() {
    for case in recorded("model_checkpoint") {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = ModelCheckpoint {
            save_best_only: case["arguments"]["save_best_only"] == true,
            save_weights_only: true,
            mode: mode(&case),
            initial_value_threshold: case["arguments"]["initial_value_threshold"].as_f64(),
            ..ModelCheckpoint::new(format!("{}/{{epoch:02d}}.safetensors", folder.path().display()))
        };
        tell(&mut model(), &mut checkpoint, &values(&case), |_| ());
        let found: Vec<String> = files(folder.path()).iter().map(|name| name[..2].to_owned()).collect();
        assert_eq!(serde_json::to_value(found).unwrap(), case["saved"], "{case}");
    }
}

fn compiled_with_rate(learning_rate: f64) -> Sequential {
    let mut model = model();
    let optimizer = SGD { learning_rate, ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    model
}

/// The names of what lies in a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

fn fit_with(model: &mut Sequential, epochs: usize, callbacks: Vec<&mut dyn Callback>) -> kiln::Result<History> {
    model.fit(&bars(70), Fit { epochs, validation_split: 0.3, seed: 5, callbacks, ..Fit::default() })
}

#[test]
fn the_best_epochs_weights_are_restored_to_the_bit() {
    // Too large a step: the loss goes up again.
    let mut trained = compiled_with_rate(3.0);
    let mut stopping = EarlyStopping { patience: 2, restore_best_weights: true, ..EarlyStopping::default() };
    let history = fit_with(&mut trained, 40, vec![&mut stopping]).unwrap();
    let best = stopping.best_epoch().unwrap();
    assert!(history.stopped && history.epochs.len() == best + 2, "{best} of {}", history.epochs.len());
    assert_eq!(stopping.stopped_epoch(), Some(best + 2));
    assert_eq!(stopping.best(), history.epochs[best - 1].val_loss);

    let mut until_then = compiled_with_rate(3.0);
    fit_with(&mut until_then, best, vec![]).unwrap();
    assert_eq!(bits(&trained.get_weights().unwrap()), bits(&until_then.get_weights().unwrap()));
}

#[test]
fn a_monitor_that_is_not_there_ends_training_with_an_error_that_lists_the_figures() {
    let monitor = || "val_loss".to_owned();
    let callbacks: [Box<dyn Callback>; 3] = [
        Box::new(EarlyStopping { monitor: monitor(), ..Default::default() }),
        Box::new(ReduceLROnPlateau { monitor: monitor(), ..Default::default() }),
        Box::new(ModelCheckpoint { save_best_only: true, ..ModelCheckpoint::new("unused") }),
    ];
    for mut callback in callbacks {
        let fit = Fit { epochs: 5, callbacks: vec![&mut *callback], ..Fit::default() };
        let error = compiled().fit(&bars(70), fit).unwrap_err().to_string();
        assert!(error.contains("monitor: expected one of loss, accuracy (those of a validation need"), "{error}");
    }
}

#[test]
fn arguments_that_make_no_sense_end_training_before_it_begins() {
    let callbacks: [(&str, Box<dyn Callback>); 8] = [
        ("mode: expected", Box::new(EarlyStopping { monitor: "beauty".to_owned(), ..Default::default() })),
        ("mode: expected", Box::new(ReduceLROnPlateau { monitor: "beauty".to_owned(), ..Default::default() })),
        ("factor: expected", Box::new(ReduceLROnPlateau { factor: 1.0, ..Default::default() })),
        ("period: expected", Box::new(ModelCheckpoint { period: 0, ..ModelCheckpoint::new("unused") })),
        ("filepath: expected", Box::new(ModelCheckpoint::new("{epoch"))),
        ("filepath: expected a folder", Box::new(ModelCheckpoint::new("a.safetensors"))),
        (
            "ends in `.safetensors`",
            Box::new(ModelCheckpoint { save_weights_only: true, ..ModelCheckpoint::new("a.h5") }),
        ),
        ("update_freq", Box::new(TensorBoard { update_freq: UpdateFreq::Batches(0), ..TensorBoard::new("unused") })),
    ];
    let mut model = compiled();
    let before = bits(&model.get_weights().unwrap());
    for (expected, mut callback) in callbacks {
        let error = fit_with(&mut model, 1, vec![&mut *callback]).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
    assert_eq!(bits(&model.get_weights().unwrap()), before);
}

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
    let mut resumed = Sequential::load(&second).unwrap();
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
fn a_schedule_is_given_the_epochs_that_are_over_and_the_rate_so_far() {
    let mut asked = Vec::new();
    let mut scheduler = LearningRateScheduler::new(|epoch, rate| {
        asked.push((epoch, rate));
        rate / 2.0
    });
    let mut model = compiled_with_rate(0.5);
    let history = fit_with(&mut model, 3, vec![&mut scheduler]).unwrap();
    assert_eq!(asked, [(0, 0.5), (1, 0.25), (2, 0.125)]);
    assert_eq!(model.learning_rate().unwrap(), 0.0625);

    let mut by_hand = compiled_with_rate(0.25);
    let data = bars(70);
    for initial_epoch in 0..3 {
        let fit = Fit { epochs: initial_epoch + 1, initial_epoch, validation_split: 0.3, seed: 5, ..Fit::default() };
        let logs = by_hand.fit(&data, fit).unwrap();
        assert_eq!(logs.epochs[0].batch_losses, history.epochs[initial_epoch].batch_losses);
        by_hand.set_learning_rate(by_hand.learning_rate().unwrap() / 2.0).unwrap();
    }
}

#[test]
fn a_learning_rate_that_is_no_number_and_one_of_a_model_that_is_not_compiled_are_errors() {
    let mut scheduler = LearningRateScheduler::new(|_, _| f64::NAN);
    let error = fit_with(&mut compiled(), 1, vec![&mut scheduler]).unwrap_err().to_string();
    assert_eq!(error, "learning_rate: expected a finite number, found NaN");
    let mut model = model();
    for error in [model.learning_rate().unwrap_err(), model.set_learning_rate(0.1).unwrap_err()] {
        assert!(error.to_string().contains("call `compile` first"), "{error}");
    }
}

#[test]
fn a_csv_file_has_a_line_per_epoch_with_kerases_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/training.csv");
    let mut logger = CSVLogger::new(&path);
    let history = fit_with(&mut compiled(), 2, vec![&mut logger]).unwrap();
    let row = |logs: &EpochLogs| {
        let (val_loss, val_accuracy) = (logs.val_loss.unwrap(), logs.val_accuracy.unwrap());
        format!("{},{},{},{val_loss},{val_accuracy}\n", logs.epoch - 1, logs.loss, logs.accuracy)
    };
    let head = "epoch,loss,accuracy,val_loss,val_accuracy\n".to_owned();
    let written = head.clone() + &row(&history.epochs[0]) + &row(&history.epochs[1]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);

    let mut logger = CSVLogger { append: true, ..CSVLogger::new(&path) };
    let fit = Fit { epochs: 3, initial_epoch: 2, callbacks: vec![&mut logger], ..Fit::default() };
    let third = compiled().fit(&bars(70), fit).unwrap();
    let logs = &third.epochs[0];
    let written = written + &format!("2,{},{},NA,NA\n", logs.loss, logs.accuracy);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);

    let mut logger = CSVLogger { separator: ';', ..CSVLogger::new(&path) };
    let fit = Fit { epochs: 1, callbacks: vec![&mut logger], ..Fit::default() };
    compiled().fit(&bars(70), fit).unwrap();
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

#[test]
fn a_training_that_diverges_ends_in_good_order_with_terminate_on_nan_and_with_an_error_without() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.csv");
    let mut logger = CSVLogger::new(&path);
    let history = fit_with(&mut compiled_with_rate(1e30), 9, vec![&mut TerminateOnNaN, &mut logger]).unwrap();
    assert!(history.stopped && history.epochs.len() == 1);
    let logs = &history.epochs[0];
    assert!(!logs.complete && !logs.loss.is_finite() && logs.val_loss.is_none(), "{logs:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    history.save(folder.path()).unwrap();
    assert!(History::load(folder.path()).unwrap().epochs[0].loss.is_nan());

    let error = fit_with(&mut compiled_with_rate(1e30), 9, vec![]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { epoch: 1, .. }), "{error}");
}

/// Records of an event file: the tags and how often each is there.
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
    // Seven batches an epoch.
    let fit = Fit { epochs: 3, batch_size: 7, validation_split: 0.3, callbacks: vec![&mut board], ..Fit::default() };
    compiled().fit(&bars(70), fit).unwrap();
    assert_eq!(files(folder.path()), ["train", "validation"]);
    let named = |tags: &[(&str, usize)]| tags.iter().map(|(tag, n)| ((*tag).to_owned(), *n)).collect::<Vec<_>>();
    let epochs = [("epoch_loss", 3), ("epoch_accuracy", 3), ("epoch_learning_rate", 3), ("epoch_steps_per_second", 3)];
    assert_eq!(tags(&folder.path().join("train")), named(&[&[("batch_loss", 10)], &epochs[..]].concat()));
    let validation = [("evaluation_loss_vs_iterations", 3), ("evaluation_accuracy_vs_iterations", 3)];
    assert_eq!(tags(&folder.path().join("validation")), named(&[&epochs[..2], &validation].concat()));

    compiled().fit(&bars(70), Fit { callbacks: vec![&mut board], ..Fit::default() }).unwrap();
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
