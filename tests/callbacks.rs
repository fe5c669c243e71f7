//! Callbacks compared with Keras' on recorded figures, and in real trainings.

use std::path::Path;

use kiln::callbacks::{
    CSVLogger, EarlyStopping, LearningRateScheduler, Mode, ModelCheckpoint, ReduceLROnPlateau, TensorBoard,
    TerminateOnNaN, UpdateFreq,
};
use kiln::optimizers::SGD;
use kiln::{Callback, Compile, EpochLogs, Error, Fit, History, Model};
use serde_json::Value;

use crate::common::{bars, bits, close, compiled, device, files, model};

/// The cases of a callback, recorded by `tests/peers/callbacks.py`.
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

/// Sets all weights to a value.
fn mark(model: &mut Model, value: f32) {
    let mut weights = model.get_weights().unwrap();
    weights.iter_mut().for_each(|weight| weight.values.fill(value));
    model.set_weights(&weights).unwrap();
}

/// Calls a callback at the end of epochs until it stops training. Returns `seen` of the model after each. The model's
/// weights are the epoch's number.
fn tell<T>(
    model: &mut Model,
    callback: &mut dyn Callback,
    val_losses: &[f64],
    seen: impl Fn(&Model) -> T,
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
/// The small model with plain gradient descent.
pub fn compiled_with_rate(learning_rate: f64) -> Model {
    let mut model = model();
    let optimizer = SGD { learning_rate: learning_rate.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    model
}
/// Trains on most of a few bars and validates on the rest.
pub fn fit_with(model: &mut Model, epochs: usize, mut callbacks: Vec<&mut dyn Callback>) -> kiln::Result<History> {
    let fit = Fit { epochs, validation_split: 0.3, seed: 5, ..Fit::default() };
    model.fit_with_callbacks(&bars(70), fit, &mut callbacks)
}
#[test]
fn the_best_epochs_weights_are_restored_to_the_bit() {
    // The learning rate is too large: the loss increases again.
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
        let fit = Fit { epochs: 5, ..Fit::default() };
        let error = compiled().fit_with_callbacks(&bars(70), fit, &mut [&mut *callback]).unwrap_err().to_string();
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
    assert_eq!(error, "learning_rate: expected a number, 0 or more, found NaN");
    let mut model = model();
    for error in [model.learning_rate().unwrap_err(), model.set_learning_rate(0.1).unwrap_err()] {
        assert!(error.to_string().contains("call `compile` first"), "{error}");
    }
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
