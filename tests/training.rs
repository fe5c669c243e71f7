//! Training step by step: `Model::training`, `train_on_batch` and `gradients`.

use kiln::data::{Dataset, Labels};
use kiln::layers::Dense;
use kiln::losses::MeanSquaredError;
use kiln::optimizers::SGD;
use kiln::{Compile, Error, Fit, Model, Sequential, Submitted, Training, TrainingOptions, Weight};

use crate::common::{bars, bits, close, compiled, device, model};

fn options(batch_size: usize) -> TrainingOptions<'static> {
    TrainingOptions { batch_size, seed: 3, ..TrainingOptions::default() }
}

/// Submits a step, when it is ready to be.
fn submit(training: &mut Training<'_>) -> Submitted {
    loop {
        match training.submit(1).unwrap() {
            Submitted::Preparing => std::thread::yield_now(),
            submitted => return submitted,
        }
    }
}

/// `y = w x + b` with `w = [0.5, -1]` and `b = 0.25`, trained with plain gradient descent at this rate.
fn line(learning_rate: f64) -> Model {
    let mut model = Sequential::new([2]);
    model.add(Dense::new(1));
    let weights = [("dense/kernel", vec![2, 1], vec![0.5, -1.0]), ("dense/bias", vec![1], vec![0.25])];
    let weights = weights.map(|(name, shape, values)| Weight { name: name.to_owned(), shape: shape.into(), values });
    model.set_weights(&weights).unwrap();
    let optimizer = SGD { learning_rate: learning_rate.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
    model
}

const X: [[f64; 2]; 3] = [[1.0, 2.0], [-0.5, 0.25], [3.0, -1.0]];
const Y: [f64; 3] = [0.5, 1.0, -2.0];

fn points() -> Dataset {
    let values = X.iter().flatten().map(|&value| value as f32).collect();
    Dataset::from_f32([2], values, Labels::values(Y.map(|y| y as f32).to_vec(), 1)).unwrap()
}

/// `mean((w x + b - y)^2)` and its gradients by `w` and `b`, in f64.
fn reference() -> (f64, [f64; 3]) {
    let (mut loss, mut gradients) = (0.0, [0.0; 3]);
    for ([first, second], y) in X.into_iter().zip(Y) {
        let error = 0.5 * first - second + 0.25 - y;
        loss += error * error / 3.0;
        for (gradient, factor) in gradients.iter_mut().zip([first, second, 1.0]) {
            *gradient += 2.0 * error * factor / 3.0;
        }
    }
    (loss, gradients)
}

#[test]
fn a_loop_of_steps_trains_as_fit_to_the_same_bits() {
    let data = bars(70);
    let mut fitted = compiled();
    let history = fitted.fit(&data, Fit { epochs: 3, batch_size: 16, seed: 3, ..Fit::default() }).unwrap();

    let mut stepped = compiled();
    let mut training = stepped.training(&data, options(16)).unwrap();
    assert_eq!((training.samples(), training.steps_per_epoch()), (70, 5));
    assert_eq!(submit(&mut training), Submitted::All, "no epoch has begun");
    for logs in &history.epochs {
        training.begin_epoch(logs.epoch).unwrap();
        let mut losses = Vec::new();
        while submit(&mut training) != Submitted::All {
            while let Some(report) = training.poll().unwrap() {
                assert_eq!((report.epoch, report.step), (logs.epoch, losses.len() + 1));
                losses.push(report.loss);
            }
        }
        while let Some(report) = training.wait().unwrap() {
            losses.push(report.loss);
        }
        assert_eq!(losses, logs.batch_losses);
        let score = training.score();
        assert_eq!((score.loss, &score.metrics), (logs.loss, &logs.metrics));
    }
    assert_eq!(bits(&stepped.get_weights().unwrap()), bits(&fitted.get_weights().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = [folder.path().join("a.safetensors"), folder.path().join("b.safetensors")];
    stepped.save_checkpoint(&checkpoints[0]).unwrap();
    fitted.save_checkpoint(&checkpoints[1]).unwrap();
    assert_eq!(compiled().load_checkpoint(&checkpoints[0]).unwrap(), 3);
    assert_eq!(compiled().load_checkpoint(&checkpoints[1]).unwrap(), 3);
}

#[test]
fn as_many_submissions_are_on_their_way_as_may_be() {
    let mut model = compiled();
    let data = bars(40);
    let mut training = model.training(&data, options(2)).unwrap();
    training.begin_epoch(1).unwrap();
    let submitted: Vec<Submitted> = (0..4).map(|_| submit(&mut training)).collect();
    let one = Submitted::Steps(1);
    assert_eq!(submitted, [one, one, one, Submitted::Full]);
    assert_eq!(training.wait().unwrap().unwrap().step, 1);
    assert_eq!(submit(&mut training), one);
    training.stop();
    assert_eq!(submit(&mut training), Submitted::All);
    let mut steps = Vec::new();
    while let Some(report) = training.next_report().unwrap() {
        steps.push(report.step);
    }
    assert_eq!((steps, training.reported_samples()), (vec![2, 3, 4], 8));
    // The next epoch is whole.
    training.begin_epoch(2).unwrap();
    let reports = std::iter::from_fn(|| training.next_report().unwrap());
    assert_eq!(reports.last().unwrap().step, 20);
}

#[test]
fn the_learning_rate_changes_between_two_steps() {
    let mut model = line(0.125);
    let data = points();
    let mut training = model.training(&data, options(3)).unwrap();
    for (epoch, rate) in [(1, 0.125), (2, 0.0)] {
        training.model().set_learning_rate(rate).unwrap();
        training.begin_epoch(epoch).unwrap();
        assert_eq!(training.next_report().unwrap().unwrap().samples, 3);
        assert!(training.next_report().unwrap().is_none());
    }
    let (_, gradients) = reference();
    let weights: Vec<f32> = model.get_weights().unwrap().into_iter().flat_map(|weight| weight.values).collect();
    for ((found, before), gradient) in weights.into_iter().zip([0.5, -1.0, 0.25]).zip(gradients) {
        assert!(close(f64::from(found), before - 0.125 * gradient, 1e-6), "{found}");
    }
}

#[test]
fn gradients_are_those_of_the_formula_and_weights_stay() {
    let mut model = line(0.5);
    let before = bits(&model.get_weights().unwrap());
    let (_, expected) = reference();
    for _ in 0..2 {
        let found = model.gradients(&points()).unwrap();
        let names: Vec<&str> = found.iter().map(|gradient| gradient.name.as_str()).collect();
        assert_eq!((names, &found[0].shape), (vec!["dense/kernel", "dense/bias"], &[2, 1].into()));
        let values = found.iter().flat_map(|gradient| gradient.values.iter().copied());
        for (found, expected) in values.zip(expected) {
            assert!(close(f64::from(found), expected, 1e-6), "{found}, expected {expected}");
        }
    }
    assert_eq!(bits(&model.get_weights().unwrap()), before);
}

#[test]
fn train_on_batch_is_one_step_and_returns_the_loss_before_it() {
    let mut model = line(0.125);
    let (loss, gradients) = reference();
    let score = model.train_on_batch(&points()).unwrap();
    assert!(close(score.loss, loss, 1e-6), "{score:?}");
    let weights: Vec<f32> = model.get_weights().unwrap().into_iter().flat_map(|weight| weight.values).collect();
    for ((found, before), gradient) in weights.into_iter().zip([0.5, -1.0, 0.25]).zip(gradients) {
        assert!(close(f64::from(found), before - 0.125 * gradient, 1e-6), "{found}");
    }

    let (mut by_batch, mut by_fit) = (compiled(), compiled());
    for first in [0, 20] {
        let batch = bars(40).range(first..first + 20);
        by_batch.train_on_batch(&batch).unwrap();
    }
    by_fit.fit(&bars(40), Fit { batch_size: 20, shuffle: false, ..Fit::default() }).unwrap();
    assert_eq!(bits(&by_batch.get_weights().unwrap()), bits(&by_fit.get_weights().unwrap()));
}

#[test]
fn bad_arguments_and_losses_that_are_not_finite_are_errors() {
    let mut model = model();
    let error = model.training(&bars(3), options(1)).unwrap_err().to_string();
    assert!(error.contains("compile"), "{error}");
    let error = compiled().training(&bars(3), options(0)).unwrap_err().to_string();
    assert_eq!(error, "batch_size: expected at least 1, found 0");
    assert!(compiled().gradients(&bars(0)).is_err());

    let data = Dataset::from_f32([2], vec![f32::NAN, 0.0], Labels::values(vec![0.0], 1)).unwrap();
    assert!(matches!(line(0.1).train_on_batch(&data), Err(Error::NonFinite { .. })));
    assert!(matches!(line(0.1).gradients(&data), Err(Error::NonFinite { .. })));
}

#[test]
fn a_step_on_other_data_within_an_epoch_is_found_and_the_next_epoch_is_whole() {
    let (data, other) = (bars(40), bars(24).range(4..24));
    let augmentation = kiln::augmentation::Augmentation { horizontal_flip: true, ..Default::default() };
    let options = || TrainingOptions { augmentation: Some(&augmentation), ..options(20) };
    let mut model = compiled();
    let mut training = model.training(&data, options()).unwrap();
    training.begin_epoch(1).unwrap();
    submit(&mut training);
    training.model().evaluate(&other).unwrap();
    training.model().predict(&other).unwrap();
    submit(&mut training);
    while training.wait().unwrap().is_some() {}
    training.begin_epoch(2).unwrap();
    training.model().gradients(&other).unwrap();
    let expected = "training: expected no step on other data within an epoch; call `begin_epoch` after such a step, found \
                    one since `begin_epoch`";
    assert_eq!(training.submit(1).unwrap_err().to_string(), expected);
    assert_eq!(training.next_report().unwrap_err().to_string(), expected);
    training.begin_epoch(2).unwrap();
    while training.next_report().unwrap().is_some() {}

    let mut alone = compiled();
    alone
        .fit(&data, Fit { epochs: 2, batch_size: 20, seed: 3, augmentation: Some(&augmentation), ..Fit::default() })
        .unwrap();
    assert_eq!(bits(&model.get_weights().unwrap()), bits(&alone.get_weights().unwrap()));
}

#[test]
fn gradients_do_not_depend_on_the_order_of_an_epoch_before() {
    let (data, mut fresh, mut trained) = (bars(40), compiled(), compiled());
    trained.fit(&data, Fit { batch_size: 7, ..Fit::default() }).unwrap();
    trained.set_weights(&fresh.get_weights().unwrap()).unwrap();
    assert_eq!(bits(&trained.gradients(&data).unwrap()), bits(&fresh.gradients(&data).unwrap()));
}
