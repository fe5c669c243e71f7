//! Training with `fit`: arguments, results and side effects.

use std::ops::ControlFlow;
use std::sync::Arc;

use kiln::data::{Dataset, Labels, Values};
use kiln::layers::{Activation, Dense, Dropout, Flatten};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::schedules::{InverseTimeDecay, PiecewiseConstantDecay};
use kiln::optimizers::{Adadelta, Adagrad, Adam, AdamW, Nadam, Optimizer, RMSprop, SGD};
use kiln::{BatchLogs, Callback, Compile, EpochLogs, Error, Fit, History, Model, Sequential, TestBatchLogs, Weight};

use crate::common::{bars, bits, close, compiled, device, logits, model};

/// Trains the small model from its initial weights; returns the bits of its weights and the history.
fn train(compile: Compile, fit: Fit<'_>) -> (Vec<u32>, History) {
    train_with(compile, fit, &mut [])
}

fn train_with(compile: Compile, fit: Fit<'_>, callbacks: &mut [&mut dyn Callback]) -> (Vec<u32>, History) {
    let mut model = model();
    model.compile(device(), compile).unwrap();
    let history = model.fit_with_callbacks(&bars(70), fit, callbacks).unwrap();
    (bits(&model.get_weights().unwrap()), history)
}

fn losses(history: &History) -> Vec<f64> {
    history.epochs.iter().flat_map(|logs| logs.batch_losses.clone()).collect()
}

#[test]
fn every_optimizer_learns_to_tell_bars_apart() {
    let optimizers: [Arc<dyn Optimizer>; 10] = [
        Adam { learning_rate: 0.02.into(), ..Adam::default() }.into(),
        Adam { learning_rate: 0.02.into(), amsgrad: true, ..Adam::default() }.into(),
        AdamW { learning_rate: 0.02.into(), ..AdamW::default() }.into(),
        Nadam { learning_rate: 0.02.into(), ..Nadam::default() }.into(),
        Adagrad { learning_rate: 0.1.into(), ..Adagrad::default() }.into(),
        Adadelta { learning_rate: 10.0.into(), ..Adadelta::default() }.into(),
        RMSprop { learning_rate: 0.01.into(), ..RMSprop::default() }.into(),
        SGD { learning_rate: 0.5.into(), ..SGD::default() }.into(),
        SGD { learning_rate: InverseTimeDecay::new(0.1, 1, 0.01).into(), momentum: 0.9, ..SGD::default() }.into(),
        SGD { learning_rate: 0.1.into(), momentum: 0.9, nesterov: true, ..SGD::default() }.into(),
    ];
    for optimizer in optimizers {
        let name = format!("{optimizer:?}");
        let mut model = model();
        model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
        let history = model.fit(&bars(99), Fit { epochs: 30, ..Fit::default() }).unwrap();
        let score = model.evaluate(&bars(99)).unwrap();
        assert!(score.accuracy() > Some(0.95), "{name}: {score:?}");
        assert!(score.loss < history.epochs[0].loss, "{name}: {score:?}");
    }
}

#[test]
fn one_seed_gives_the_same_bits_and_another_does_not() {
    let run = |seed| train(Compile::default(), Fit { epochs: 3, seed, ..Fit::default() });
    let (first, second, other) = (run(1), run(1), run(2));
    assert_eq!(first.0, second.0);
    assert_eq!(losses(&first.1), losses(&second.1));
    assert_ne!(first.0, other.0);
}

#[test]
fn results_do_not_depend_on_the_steps_per_execution() {
    let run = |steps_per_execution| {
        let compile = Compile { steps_per_execution, ..Compile::default() };
        let (weights, history) = train(compile, Fit { epochs: 2, batch_size: 3, ..Fit::default() });
        (weights, losses(&history))
    };
    let one = run(Some(1));
    assert_eq!(one.1.len(), 2 * 24);
    for steps in [Some(7), Some(32), None] {
        assert_eq!(run(steps), one, "{steps:?}");
    }
}

#[test]
fn the_last_batch_is_smaller_and_the_epochs_loss_is_weighted_by_samples() {
    let (_, history) = train(Compile::default(), Fit::default());
    let logs = &history.epochs[0];
    let [a, b, c] = logs.batch_losses[..] else { panic!("{:?}", logs.batch_losses) };
    assert!(close(logs.loss, (32.0 * a + 32.0 * b + 6.0 * c) / 70.0, 1e-9), "{logs:?}");
    assert!(logs.images_per_second > 0.0 && logs.seconds > 0.0);
    assert!(!history.stopped);
}

#[test]
fn a_batch_may_be_larger_than_the_data_set() {
    let (_, history) = train(Compile::default(), Fit { batch_size: 1000, ..Fit::default() });
    assert_eq!(history.epochs[0].batch_losses.len(), 1);
    assert!(close(history.epochs[0].loss, 3f64.ln(), 0.5), "{history:?}");
}

#[test]
fn validation_split_takes_the_last_fraction() {
    let data = bars(80);
    let mut model = compiled();
    let history = model.fit(&data, Fit { validation_split: 0.25, ..Fit::default() }).unwrap();
    let last = model.evaluate(&data.range(60..80)).unwrap();
    let first = model.evaluate(&data.range(0..60)).unwrap();
    let logs = &history.epochs[0];
    assert_eq!(logs.batch_losses.len(), 2);
    assert!(close(logs.val_loss.unwrap(), last.loss, 1e-5), "{logs:?}, {last:?}");
    assert!(close(logs.get("val_accuracy").unwrap(), last.accuracy().unwrap(), 1e-9));
    assert!(!close(logs.val_loss.unwrap(), first.loss, 1e-5));
}

#[test]
fn validation_data_stand_in_for_the_split_and_do_not_train() {
    let (data, other) = (bars(70), bars(33));
    let fit = || Fit { epochs: 2, ..Fit::default() };
    let mut plain = compiled();
    plain.fit(&data, fit()).unwrap();
    let mut validated = compiled();
    let history = validated.fit(&data, Fit { validation_data: Some(&other), validation_split: 0.5, ..fit() }).unwrap();
    assert_eq!(history.epochs[0].batch_losses.len(), 3);
    assert!(close(history.epochs[1].val_loss.unwrap(), validated.evaluate(&other).unwrap().loss, 1e-5));
    assert_eq!(bits(&plain.get_weights().unwrap()), bits(&validated.get_weights().unwrap()));
}

#[test]
fn training_in_two_parts_is_training_at_once() {
    let data = bars(70);
    let mut whole = compiled();
    whole.fit(&data, Fit { epochs: 3, ..Fit::default() }).unwrap();
    let mut parts = compiled();
    parts.fit(&data, Fit { epochs: 1, ..Fit::default() }).unwrap();
    let rest = parts.fit(&data, Fit { epochs: 3, initial_epoch: 1, ..Fit::default() }).unwrap();
    assert_eq!(rest.epochs.iter().map(|logs| logs.epoch).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(bits(&parts.get_weights().unwrap()), bits(&whole.get_weights().unwrap()));
}

/// Converts samples of bytes to scaled floats, with one-hot labels.
fn as_floats_and_one_hot(data: &Dataset) -> Dataset {
    let (Values::U8(bytes), Labels::Index { values, .. }) = (data.values().unwrap(), data.labels().unwrap()) else {
        panic!()
    };
    let floats = bytes.iter().map(|&byte| f32::from(byte) * data.scale()).collect();
    let hot = values.iter().flat_map(|&label| (0..3).map(move |class| f32::from(class == label))).collect();
    Dataset::from_f32([6, 6, 1], floats, Labels::one_hot(hot, 3)).unwrap()
}

#[test]
fn bytes_and_indices_train_as_floats_and_one_hot_labels_do() {
    let data = bars(70);
    let mut by_index = compiled();
    let mut by_value = compiled();
    let first = by_index.fit(&data, Fit { epochs: 2, ..Fit::default() }).unwrap();
    let second = by_value.fit(&as_floats_and_one_hot(&data), Fit { epochs: 2, ..Fit::default() }).unwrap();
    for (found, expected) in losses(&second).into_iter().zip(losses(&first)) {
        assert!(close(found, expected, 1e-5), "{found} {expected}");
    }
    assert!(close(second.epochs[1].accuracy().unwrap(), first.epochs[1].accuracy().unwrap(), 1e-9));
}

#[test]
fn a_model_that_gives_logits_trains_as_one_that_ends_in_softmax() {
    let fit = || Fit { epochs: 2, ..Fit::default() };
    let loss = |from_logits| SparseCategoricalCrossentropy { from_logits }.into();
    let mut with = model();
    with.compile(device(), Compile { loss: loss(false), ..Compile::default() }).unwrap();
    let mut without = logits();
    without.compile(device(), Compile { loss: loss(true), ..Compile::default() }).unwrap();
    assert_eq!(losses(&with.fit(&bars(70), fit()).unwrap()), losses(&without.fit(&bars(70), fit()).unwrap()));
    assert_eq!(bits(&with.get_weights().unwrap()), bits(&without.get_weights().unwrap()));
}

/// Records its calls, and stops at a batch.
#[derive(Default)]
struct Witness {
    stop_at: Option<usize>,
    told: Vec<String>,
}

impl Callback for Witness {
    fn on_epoch_begin(&mut self, _: &mut Model, epoch: usize, epochs: usize) -> kiln::Result<ControlFlow<()>> {
        self.told.push(format!("epoch {epoch}/{epochs}"));
        Ok(ControlFlow::Continue(()))
    }

    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        let BatchLogs { batch, batches, samples, all_samples, .. } = *logs;
        self.told.push(format!("{batch}/{batches} {samples}/{all_samples}"));
        assert!((0.0..=1.0).contains(&logs.metrics.get("accuracy").unwrap()) && logs.loss > 0.0);
        if self.stop_at == Some(batch) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.told.push(format!("end {} of {}", logs.epoch, model.name()));
        Ok(ControlFlow::Continue(()))
    }
}

#[test]
fn callbacks_are_told_in_order() {
    let mut witness = Witness::default();
    train_with(Compile::default(), Fit::default(), &mut [&mut witness]);
    assert_eq!(witness.told, ["epoch 1/1", "1/3 32/70", "2/3 64/70", "3/3 70/70", "end 1 of bars"]);
}

#[test]
fn a_callback_that_breaks_stops_training_and_the_history_tells() {
    let mut witness = Witness { stop_at: Some(2), ..Witness::default() };
    let fit = Fit { epochs: 5, batch_size: 1, validation_split: 0.1, ..Fit::default() };
    let compile = Compile { steps_per_execution: Some(1), ..Compile::default() };
    let (_, history) = train_with(compile, fit, &mut [&mut witness]);
    assert!(history.stopped);
    assert_eq!(history.epochs.len(), 1);
    let batches = history.epochs[0].batch_losses.len();
    assert!((2..=5).contains(&batches), "{batches} batches: what was on its way and no more");
    assert_eq!(history.epochs[0].val_loss, None);
    assert_eq!(witness.told.last().unwrap(), "end 1 of bars");
    assert_eq!(witness.told.len(), 4);
}

/// Stops validations and evaluations at their second batch, and counts batches.
#[derive(Default)]
struct Impatient {
    told: Vec<TestBatchLogs>,
}

impl Callback for Impatient {
    fn on_test_batch_end(&mut self, logs: &TestBatchLogs) -> ControlFlow<()> {
        self.told.push(logs.clone());
        if self.told.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn a_callback_that_breaks_in_validation_stops_training_without_the_validations_figures() {
    let mut impatient = Impatient::default();
    let data = bars(60);
    let fit = Fit { epochs: 5, batch_size: 1, validation_data: Some(&data), ..Fit::default() };
    let compile = Compile { steps_per_execution: Some(1), ..Compile::default() };
    let (_, history) = train_with(compile, fit, &mut [&mut impatient]);
    assert!(history.stopped);
    assert_eq!(history.epochs.len(), 1);
    assert_eq!(history.epochs[0].batch_losses.len(), 70);
    assert_eq!((history.epochs[0].val_loss, history.epochs[0].get("val_accuracy")), (None, None));
    assert_eq!(
        impatient.told.iter().map(|logs| (logs.samples, logs.all_samples)).collect::<Vec<_>>(),
        [(1, 60), (2, 60)]
    );
}

#[test]
fn an_evaluation_that_a_callback_stops_has_no_score() {
    let mut model = compiled();
    let mut impatient = Impatient::default();
    assert_eq!(model.evaluate_with_callbacks(&bars(1000), &mut [&mut impatient]).unwrap(), None);
    assert_eq!(impatient.told.len(), 2);
    let whole = model.evaluate_with_callbacks(&bars(100), &mut [&mut impatient]).unwrap();
    assert_eq!(whole, Some(model.evaluate(&bars(100)).unwrap()));
    assert_eq!(impatient.told[2].loss, whole.unwrap().loss);
}

#[test]
fn a_loss_that_is_no_number_ends_training_and_names_epoch_and_step() {
    let optimizer = SGD { learning_rate: 1e30.into(), ..SGD::default() }.into();
    let mut model = model();
    model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    let error = model.fit(&bars(70), Fit { epochs: 9, ..Fit::default() }).unwrap_err();
    let Error::NonFinite { epoch: 1, step, .. } = error else { panic!("{error}") };
    assert!((2..=3).contains(&step), "{error}");
    assert!(error.to_string().contains(&format!("epoch 1, step {step}")), "{error}");
}

#[test]
fn dropout_drops_anew_in_each_step_and_only_in_training() {
    let build = |rate: f64| {
        let mut model = Sequential::new([6, 6, 1]);
        model.add(Flatten).add(Dropout::new(rate)).add(Dense::new(3).activation(Activation::Softmax));
        let optimizer = SGD { learning_rate: 0.0.into(), ..SGD::default() }.into();
        model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
        model
    };
    let data = bars(96);
    let losses = |model: &mut Model| {
        let fit = Fit { epochs: 2, shuffle: false, seed: 5, ..Fit::default() };
        let epochs = model.fit(&data, fit).unwrap().epochs;
        epochs.into_iter().flat_map(|logs| logs.batch_losses).collect::<Vec<f64>>()
    };
    let (mut plain, mut dropped) = (build(0.0), build(0.5));
    let (without, with) = (losses(&mut plain), losses(&mut dropped));
    assert_eq!(without[..3], without[3..], "weights do not change, so both epochs are the same");
    assert!((0..3).all(|batch| with[batch] != without[batch] && with[batch] != with[batch + 3]), "{with:?}");
    assert_eq!(with, losses(&mut build(0.5)), "one seed, one result");
    assert_eq!(plain.predict(&data).unwrap(), dropped.predict(&data).unwrap());
    assert_eq!(plain.evaluate(&data).unwrap(), dropped.evaluate(&data).unwrap());
}

#[test]
fn a_changed_learning_rate_counts_from_the_next_step_on() {
    let sgd = |rate: f64| Compile {
        optimizer: SGD { learning_rate: rate.into(), ..SGD::default() }.into(),
        ..Compile::default()
    };
    let mut changed = model();
    changed.compile(device(), sgd(0.1)).unwrap();
    assert_eq!(changed.learning_rate().unwrap(), 0.1);
    changed.fit(&bars(70), Fit::default()).unwrap();
    changed.set_learning_rate(0.025).unwrap();
    assert_eq!(changed.learning_rate().unwrap(), 0.025);
    changed.fit(&bars(70), Fit { epochs: 2, initial_epoch: 1, ..Fit::default() }).unwrap();

    let schedule = PiecewiseConstantDecay::new([2], [0.1, 0.025]);
    let optimizer = SGD { learning_rate: schedule.into(), ..SGD::default() }.into();
    let mut scheduled = model();
    scheduled.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    scheduled.fit(&bars(70), Fit { epochs: 2, ..Fit::default() }).unwrap();
    assert_eq!(scheduled.learning_rate().unwrap(), f64::from(0.025f32));
    assert_eq!(bits(&changed.get_weights().unwrap()), bits(&scheduled.get_weights().unwrap()));

    let error = scheduled.set_learning_rate(0.1).unwrap_err().to_string();
    assert!(error.contains("expected an optimizer with a constant learning rate, found Piecewise"), "{error}");
    assert!(changed.set_learning_rate(f64::NAN).is_err());
    assert!(model().set_learning_rate(0.1).is_err());
}

#[test]
fn clipped_steps_are_no_longer_than_they_may_be() {
    let data = bars(32);
    let change = |compile: Compile| -> Vec<Vec<f32>> {
        let optimizer = SGD { learning_rate: 1.0.into(), ..SGD::default() }.into();
        let mut model = model();
        model.compile(device(), Compile { optimizer, ..compile }).unwrap();
        let before = model.get_weights().unwrap();
        model.fit(&data, Fit::default()).unwrap();
        let after = model.get_weights().unwrap();
        let difference = |(a, b): (&Weight, &Weight)| b.values.iter().zip(&a.values).map(|(b, a)| b - a).collect();
        before.iter().zip(&after).map(difference).collect()
    };
    let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let is = |norm: f32, expected: f32| (norm / expected - 1.0).abs() < 1e-3;

    let plain = change(Compile::default());
    let by_value = change(Compile { clipvalue: Some(0.001), ..Compile::default() });
    assert!(by_value.iter().flatten().all(|value| value.abs() < 0.001001) && norm(&plain.concat()) > 0.1);
    let by_norm = change(Compile { clipnorm: Some(0.05), ..Compile::default() });
    for (clipped, plain) in by_norm.iter().zip(&plain) {
        assert!(is(norm(clipped), norm(plain).min(0.05)), "{} {}", norm(clipped), norm(plain));
    }
    let global = change(Compile { global_clipnorm: Some(0.05), ..Compile::default() });
    assert!(is(norm(&global.concat()), 0.05), "{}", norm(&global.concat()));
}
