//! Gradient accumulation: batches in shards train as whole batches do.

use std::collections::BTreeMap;
use std::path::Path;

use kiln::augmentation::{Augmentation, ShiftRange, ZoomRange};
use kiln::data::{Dataset, Labels, Values, idx};
use kiln::graph::Limits;
use kiln::layers::{Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Layer, Regularizer};
use kiln::losses::{MeanSquaredError, SparseCategoricalCrossentropy};
use kiln::optimizers::{Adam, SGD, WeightDecay};
use kiln::{Compile, Device, Error, Fit, Model, Sequential, Submitted, TrainingOptions, Weight, models};

use crate::common::{bars, bits, close, device, gpu, largest_difference, logits, model};

/// A compiled model, whose weights are the same in each call.
fn compiled(mut model: Model, compile: Compile) -> Model {
    model.compile(device(), compile).unwrap();
    model
}

fn in_shards(accumulate: usize) -> Compile {
    Compile { optimizer: momentum(), accumulate, ..Compile::default() }
}

/// Unlike Adam, it makes little of a rounding of a gradient near 0.
fn momentum() -> std::sync::Arc<dyn kiln::optimizers::Optimizer> {
    SGD { learning_rate: 0.1.into(), momentum: 0.9, ..SGD::default() }.into()
}

/// The first images of MNIST.
fn mnist(count: usize) -> Dataset {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/bench/fixtures/mnist-first");
    let read = |what| idx::read(folder.join(format!("train-{what}.gz"))).unwrap();
    let labels = Labels::index(read("labels").values.into_iter().map(u32::from).collect(), 10);
    Dataset::from_u8([28, 28, 1], read("images").values, labels).unwrap().range(0..count)
}

fn lenet() -> Model {
    models::lenet([28, 28, 1], 10)
}

/// Whether each variable agrees to a share of the largest of its values.
fn assert_close(what: &str, found: &[Weight], expected: &[Weight], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let largest = expected.values.iter().fold(0f32, |most, value| most.max(value.abs()));
        let off = largest_difference(&found.values, &expected.values);
        assert!(off <= f64::from(tolerance * largest), "{what}: {} is off by {off} of {largest}", found.name);
        let mut values = found.values.iter().chain(&expected.values);
        assert!(values.all(|value| value.is_finite()), "{what}: {}", found.name);
    }
}

/// Trains a model in shards and as a whole, and compares gradients of the first batch, weights and figures.
fn assert_trains_alike(
    what: &str,
    model: impl Fn() -> Model,
    compile: Compile,
    data: &Dataset,
    fit: fn() -> Fit<'static>,
) {
    let trained = |accumulate| {
        let mut model = compiled(model(), Compile { accumulate, ..compile.clone() });
        let gradients = model.gradients(&data.range(0..7)).unwrap();
        let history = model.fit(data, fit()).unwrap();
        (gradients, model.get_weights().unwrap(), history)
    };
    let (gradients, weights, history) = trained(1);
    for accumulate in [2, 5] {
        let what = format!("{what} in {accumulate} shards");
        let (shards, trained, of_shards) = trained(accumulate);
        assert_close(&format!("gradients of {what}"), &shards, &gradients, 2e-5);
        assert_close(&format!("weights of {what}"), &trained, &weights, 1e-4);
        for (logs, expected) in of_shards.epochs.iter().zip(&history.epochs) {
            assert!(close(logs.loss, expected.loss, 1e-4), "{what}: {logs:?}, expected {expected:?}");
        }
    }
}

#[test]
fn gradients_of_lenet_in_shards_are_those_of_the_whole_batch() {
    let data = mnist(61);
    let gradients = |accumulate| compiled(lenet(), in_shards(accumulate)).gradients(&data).unwrap();
    let whole = gradients(1);
    for accumulate in [2, 3, 5, 8] {
        assert_close(&format!("{accumulate} shards"), &gradients(accumulate), &whole, 1e-5);
    }
}

#[test]
fn lenet_learns_in_shards_what_it_learns_from_whole_batches() {
    // The last batch of an epoch has 14 samples, and the validation is not cut.
    let data = mnist(80);
    let trained = |accumulate| {
        let mut model = compiled(lenet(), in_shards(accumulate));
        let fit = Fit { epochs: 2, batch_size: 25, validation_split: 0.2, seed: 5, ..Fit::default() };
        let history = model.fit(&data, fit).unwrap();
        (model.get_weights().unwrap(), history)
    };
    let (weights, history) = trained(1);
    for accumulate in [2, 3, 5, 8] {
        let (found, logs) = trained(accumulate);
        assert_close(&format!("{accumulate} shards"), &found, &weights, 1e-4);
        for (logs, expected) in logs.epochs.iter().zip(&history.epochs) {
            assert_eq!(logs.batch_losses.len(), 3);
            let losses = logs.batch_losses.iter().zip(&expected.batch_losses);
            assert!(losses.clone().all(|(a, b)| close(*a, *b, 1e-4)), "{accumulate}: {losses:?}");
            assert!(close(logs.val_loss.unwrap(), expected.val_loss.unwrap(), 1e-4));
            assert_eq!(logs.metrics, expected.metrics, "{accumulate}");
        }
    }
}

#[test]
fn gradients_are_added_in_the_order_of_a_binary_tree() {
    // The sum of a power of two of shards, and of the rest.
    fn tree(shards: &[Vec<f32>]) -> Vec<f32> {
        match shards {
            [one] => one.clone(),
            _ => {
                let half = shards.len().next_power_of_two() / 2;
                let [left, right] = [tree(&shards[..half]), tree(&shards[half..])];
                left.iter().zip(right).map(|(left, right)| left + right).collect()
            }
        }
    }
    let flat = |weights: Vec<Weight>| weights.into_iter().flat_map(|weight| weight.values).collect::<Vec<f32>>();
    for accumulate in [2, 3, 4, 5, 6, 7, 8, 13] {
        // A loss of a shard counts 1 / 4, which is exact, times its share of the batch: as in the whole batch.
        let samples = 4 * accumulate;
        let weighted = |range: std::ops::Range<usize>, weight: f32| {
            let count = range.len();
            bars(samples).range(range).with_sample_weights(vec![weight; count]).unwrap()
        };
        let mut whole = compiled(model(), in_shards(accumulate));
        let found = flat(whole.gradients(&weighted(0..samples, 1.0)).unwrap());
        let mut alone = compiled(model(), in_shards(1));
        let share = 1.0 / samples as f32 * 4.0;
        let shards = (0..accumulate).map(|k| flat(alone.gradients(&weighted(4 * k..4 * k + 4, share)).unwrap()));
        let expected = tree(&shards.collect::<Vec<_>>());
        let differ = found.iter().zip(&expected).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!(differ, 0, "of {} values, {accumulate} shards", found.len());
    }
}

#[test]
fn a_training_in_shards_repeats_to_the_bit_also_from_chunks() {
    let trained = |data: &Dataset| {
        let mut model = logits();
        model.add(Dropout::new(0.25)).add(Activation::Softmax);
        let mut model = compiled(model, Compile { accumulate: 3, ..Compile::default() });
        let history = model.fit(data, Fit { epochs: 3, batch_size: 10, seed: 2, ..Fit::default() }).unwrap();
        let losses: Vec<u64> = history.epochs.iter().flat_map(|logs| &logs.batch_losses).map(|l| l.to_bits()).collect();
        (bits(&model.get_weights().unwrap()), losses)
    };
    let whole = trained(&bars(71));
    assert_eq!(trained(&bars(71)), whole);
    for chunk in [10, 33] {
        assert_eq!(trained(&bars(71).in_chunks(chunk)), whole, "chunks of {chunk}");
    }
}

#[test]
fn dropout_draws_by_a_samples_place_in_the_whole_batch() {
    // Samples of 80, 128 and 256 values: shards begin within blocks of 256 of them, and at their start.
    let model = |dropout: f64| {
        let mut model = Sequential::new([6, 6, 1]);
        model
            .add(Conv2D::new(5, [3, 3]).activation(Activation::Relu))
            .add(Dropout::new(dropout))
            .add(Flatten)
            .add(Dense::new(128).activation(Activation::Tanh))
            .add(Dropout::new(dropout))
            .add(Dense::new(256).activation(Activation::Tanh))
            .add(Dropout::new(dropout))
            .add(Dense::new(3).activation(Activation::Softmax));
        model
    };
    let gradients = |accumulate, dropout| compiled(model(dropout), in_shards(accumulate)).gradients(&bars(23)).unwrap();
    let whole = gradients(1, 0.5);
    for accumulate in [2, 3, 8, 23] {
        assert_close(&format!("{accumulate} shards"), &gradients(accumulate, 0.5), &whole, 2e-5);
    }
    assert_ne!(bits(&gradients(1, 0.0)), bits(&whole), "something is dropped");
}

#[test]
fn images_change_by_their_place_in_the_whole_batch() {
    let augmentation = Augmentation {
        rotation_range: 30.0,
        width_shift_range: ShiftRange::from(0.2),
        zoom_range: ZoomRange::from(0.2),
        horizontal_flip: true,
        brightness_range: Some([0.5, 1.5]),
        cutout: 2,
        ..Augmentation::default()
    };
    let trained = |accumulate, augmentation: Option<&Augmentation>| {
        let mut model = compiled(model(), in_shards(accumulate));
        let fit = Fit { epochs: 2, batch_size: 10, augmentation, ..Fit::default() };
        model.fit(&bars(33), fit).unwrap();
        model.get_weights().unwrap()
    };
    let whole = trained(1, Some(&augmentation));
    for accumulate in [2, 3] {
        assert_close(&format!("{accumulate} shards"), &trained(accumulate, Some(&augmentation)), &whole, 1e-4);
    }
    assert_ne!(bits(&trained(1, None)), bits(&whole));
}

#[test]
fn a_batch_that_is_smaller_than_the_number_of_shards_has_a_shard_per_sample() {
    for samples in [1, 2, 3] {
        let gradients = |accumulate| compiled(model(), in_shards(accumulate)).gradients(&bars(samples)).unwrap();
        assert_close(&format!("{samples} samples"), &gradients(8), &gradients(1), 1e-5);
    }
    let mut model = compiled(model(), in_shards(32));
    let history = model.fit(&bars(33), Fit { batch_size: 32, ..Fit::default() }).unwrap();
    assert_eq!(history.epochs[0].batch_losses.len(), 2);
}

#[test]
fn weights_of_samples_clipping_decay_and_averages_see_whole_batches() {
    let fit = || Fit { epochs: 2, batch_size: 12, ..Fit::default() };
    let data = bars(29);
    let weights = (0..29).map(|i| 0.25 + i as f32 / 10.0).collect();
    assert_trains_alike(
        "weighted samples",
        model,
        in_shards(1),
        &data.clone().with_sample_weights(weights).unwrap(),
        fit,
    );
    let class_weight = || Fit { class_weight: Some(BTreeMap::from([(1, 3.0)])), batch_size: 12, ..Fit::default() };
    assert_trains_alike("weighted classes", model, in_shards(1), &data, class_weight);
    for (name, compile) in [
        ("clipvalue", Compile { clipvalue: Some(0.01), ..in_shards(1) }),
        ("clipnorm", Compile { clipnorm: Some(0.02), ..in_shards(1) }),
        ("global_clipnorm", Compile { global_clipnorm: Some(0.02), ..in_shards(1) }),
        ("an average", Compile { use_ema: true, ema_momentum: 0.5, ema_overwrite_frequency: Some(2), ..in_shards(1) }),
    ] {
        assert_trains_alike(name, model, compile, &data, fit);
    }
    let weight_decay = WeightDecay::from(0.1).exclude_from_weight_decay(["bias"]);
    let sgd = SGD { learning_rate: 0.05.into(), weight_decay, ..SGD::default() };
    let decays = Compile { optimizer: sgd.into(), ..in_shards(1) };
    let grouped = || {
        let mut model = model();
        model.layers("conv2d").unwrap().set_learning_rate_factor(0.1).unwrap();
        model
    };
    assert_trains_alike("weight decay and a factor", grouped, decays, &data, fit);
}

#[test]
fn regularizers_count_once_for_a_batch() {
    let regularized = || {
        let mut model = Sequential::new([6, 6, 1]);
        model
            .add(Conv2D::new(4, [3, 3]).kernel_regularizer(Regularizer::l2(0.1)))
            .add(Flatten)
            .add(Dense::new(3).kernel_regularizer(Regularizer::l1_l2(0.01, 0.1)).activation(Activation::Softmax));
        model
    };
    assert_trains_alike("regularizers", regularized, in_shards(1), &bars(29), || Fit {
        batch_size: 12,
        ..Fit::default()
    });
}

#[test]
fn batch_normalization_sees_a_shard_and_its_averages_move_once_for_each() {
    let x: Vec<f32> = vec![1.0, 3.0, 10.0, 20.0];
    let mut model = Sequential::new([1]);
    model.add(BatchNormalization { momentum: 0.75, ..BatchNormalization::default() }.named("norm")).add(Dense::new(1));
    let loss = MeanSquaredError.into();
    let mut model = compiled(model, Compile { loss, metrics: vec![], ..in_shards(2) });
    model.train_on_batch(&Dataset::from_f32([1], x, Labels::values(vec![0.0; 4], 1)).unwrap()).unwrap();
    let weights = model.get_weights().unwrap();
    let moving_mean = weights.iter().find(|weight| weight.name == "norm/moving_mean").unwrap().values[0];
    let expected = 0.75 * (0.75 * 0.0 + 0.25 * 2.0) + 0.25 * 15.0;
    assert!(close(f64::from(moving_mean), expected, 1e-6), "{moving_mean}, expected {expected}");
}

#[test]
fn a_loss_that_is_not_finite_in_any_shard_is_found() {
    for wrong in [0, 5, 9] {
        let Values::U8(values) = bars(10).values().unwrap() else { panic!() };
        let mut values: Vec<f32> = values.iter().map(|&value| f32::from(value) / 255.0).collect();
        values[wrong * 36] = f32::NAN;
        let data = Dataset::from_f32([6, 6, 1], values, bars(10).labels().cloned()).unwrap();
        let mut model = compiled(model(), in_shards(4));
        let error = model.fit(&data, Fit { batch_size: 10, ..Fit::default() }).unwrap_err();
        assert!(matches!(error, Error::NonFinite { epoch: 1, step: 1, .. }), "{error}");
        assert!(matches!(model.gradients(&data), Err(Error::NonFinite { .. })));
    }
}

#[test]
fn a_resumed_training_in_shards_ends_with_the_same_bits() {
    let new = || {
        let mut model = logits();
        model.add(Dropout::new(0.25)).add(Activation::Softmax);
        compiled(model, Compile { optimizer: Adam::default().into(), accumulate: 3, ..Compile::default() })
    };
    let fit = |model: &mut Model, initial_epoch, epochs| {
        let fit = Fit { initial_epoch, epochs, seed: 3, validation_split: 0.1, ..Fit::default() };
        model.fit(&bars(131), fit).unwrap();
    };
    let mut whole = new();
    fit(&mut whole, 0, 4);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let mut first = new();
    fit(&mut first, 0, 2);
    first.save_checkpoint(&checkpoint).unwrap();
    let mut second = new();
    second.initialize(99).unwrap();
    assert_eq!(second.load_checkpoint(&checkpoint).unwrap(), 2);
    fit(&mut second, 2, 4);
    assert_eq!(bits(&second.get_weights().unwrap()), bits(&whole.get_weights().unwrap()));
}

#[test]
fn a_loop_of_steps_has_a_report_for_each_batch_and_trains_as_fit() {
    let data = bars(70);
    let mut fitted = compiled(model(), in_shards(5));
    let history = fitted.fit(&data, Fit { batch_size: 16, seed: 3, ..Fit::default() }).unwrap();
    let mut stepped = compiled(model(), in_shards(5));
    let options = TrainingOptions { batch_size: 16, seed: 3, ..TrainingOptions::default() };
    let mut training = stepped.training(&data, options).unwrap();
    training.begin_epoch(1).unwrap();
    let mut losses = Vec::new();
    loop {
        match training.submit(4).unwrap() {
            Submitted::Steps(steps) => assert_eq!(steps, 1),
            Submitted::Full => losses.extend(training.wait().unwrap().map(|report| report.loss)),
            Submitted::Preparing => std::thread::yield_now(),
            Submitted::All => break,
        }
        while let Some(report) = training.poll().unwrap() {
            assert_eq!(report.samples, if report.step == 5 { 6 } else { 16 });
            losses.push(report.loss);
        }
    }
    while let Some(report) = training.wait().unwrap() {
        losses.push(report.loss);
    }
    assert_eq!(losses, history.epochs[0].batch_losses);
    assert_eq!(bits(&stepped.get_weights().unwrap()), bits(&fitted.get_weights().unwrap()));
}

#[test]
fn a_batch_in_shards_takes_less_memory_and_the_second_step_makes_nothing_new() {
    let gpu = gpu();
    let device = Device::from_dyn(std::sync::Arc::new(gpu.clone()));
    let bytes = |accumulate| {
        let mut model = lenet();
        model.compile(&device, in_shards(accumulate)).unwrap();
        let before = model.device_bytes();
        let data = mnist(64);
        model.train_on_batch(&data).unwrap();
        let (allocations, held) = (gpu.allocations(), model.device_bytes());
        model.train_on_batch(&data).unwrap();
        assert_eq!((gpu.allocations(), model.device_bytes()), (allocations, held), "{accumulate} shards");
        held - before
    };
    let [whole, half, eighths] = [1, 2, 8].map(bytes);
    assert!(half < whole * 2 / 3 && eighths < whole / 4, "{whole} {half} {eighths}");
}

#[test]
fn a_profile_in_shards_has_the_calls_of_a_step_and_trains() {
    let data = bars(30);
    let profile = |accumulate| {
        let mut model = compiled(model(), in_shards(accumulate));
        let profile = model.profile(&data, 10, 3).unwrap();
        (profile, bits(&model.get_weights().unwrap()))
    };
    let (whole, _) = profile(1);
    let (shards, weights) = profile(4);
    let flops = |profile: &kiln::graph::Profile| profile.calls.iter().map(|call| call.flops).sum::<u64>();
    assert_eq!(flops(&shards), flops(&whole));
    let count = |name: &str| shards.calls.iter().filter(|call| call.kernel.starts_with(name)).count();
    assert_eq!((count("sgd"), count("accumulate.update")), (1, 2 * 2), "two levels, shards of two sizes: {shards}");
    assert!(shards.seconds() > 0.0);
    let mut fitted = compiled(model(), in_shards(4));
    fitted.fit(&data, Fit { batch_size: 10, shuffle: false, ..Fit::default() }).unwrap();
    assert_eq!(weights, bits(&fitted.get_weights().unwrap()));
}

#[test]
fn a_network_of_which_nothing_is_trained_reports_its_loss() {
    let frozen = |accumulate| {
        let mut model = model();
        for layer in ["conv2d", "dense"] {
            model.set_trainable(layer, false).unwrap();
        }
        compiled(model, in_shards(accumulate)).fit(&bars(20), Fit { batch_size: 8, ..Fit::default() }).unwrap()
    };
    let (shards, whole) = (frozen(3), frozen(1));
    assert!(close(shards.epochs[0].loss, whole.epochs[0].loss, 1e-6));
}

#[test]
fn a_batch_that_fits_in_shards_only_is_checked_by_its_shards() {
    let limits = Limits { max_binding_bytes: 40_000, ..Limits::WEBGPU };
    let check = |accumulate, batch_size| {
        let mut model = Sequential::new([10, 10, 3]);
        model.add(Conv2D::new(5, [3, 3])).add(Flatten).add(Dense::new(2)).add(Activation::Softmax);
        let (_, device) = kiln_bench::Recorder::device(limits);
        let loss = SparseCategoricalCrossentropy::default().into();
        model.compile(&device, Compile { loss, ..in_shards(accumulate) }).unwrap();
        let data = Dataset::from_u8([10, 10, 3], vec![0; 70 * 300], Labels::index(vec![0; 70], 2)).unwrap();
        model.check(&data, batch_size)
    };
    let fits = |result: kiln::Result<()>| match result {
        Ok(()) => None,
        Err(Error::BatchTooLarge { batch, fits, .. }) => Some((batch, fits)),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(fits(check(1, 33)), Some((33, 31)));
    assert_eq!(fits(check(2, 33)), None);
    assert_eq!(fits(check(2, 62)), None);
    assert_eq!(fits(check(2, 66)), Some((66, 62)));
}
