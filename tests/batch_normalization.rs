//! Networks with batch normalization: the updates of its moving statistics, compared with Keras.

use std::path::Path;

use kiln::data::{Dataset, Labels};
use kiln::graph::Limits;
use kiln::layers::{Activation, BatchNormalization, Conv2D, Dense, Flatten, Layer};
use kiln::optimizers::SGD;
use kiln::{Compile, Fit, Model, Sequential, Weight};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::{bars, bits, close, device};
use kiln_bench::Recorder;

/// A network for [`bars`], with batch normalization after a convolution and after a dense layer.
fn model() -> Model {
    let mut model = Sequential::new([6, 6, 1]);
    model
        .add(Conv2D::new(5, [3, 3]).use_bias(false))
        .add(BatchNormalization::new().scale(false).named("norm"))
        .add(Activation::Relu)
        .add(Flatten)
        .add(Dense::new(3))
        .add(BatchNormalization::new().momentum(0.9).named("dense_norm"))
        .add(Activation::Softmax);
    model
}

fn compiled() -> Model {
    let mut model = model();
    model.compile(device(), Compile::default()).unwrap();
    model
}

/// The bits of the weights of these layers.
fn bits_of(model: &Model, of: impl Fn(&str) -> bool) -> Vec<u32> {
    let weights: Vec<Weight> = model.get_weights().unwrap().into_iter().filter(|weight| of(&weight.name)).collect();
    assert!(!weights.is_empty());
    bits(&weights)
}

fn statistics(model: &Model) -> Vec<u32> {
    bits_of(model, |name| name.contains("moving_"))
}

#[test]
fn a_rectifier_behind_a_normalization_costs_no_pass_and_statistics_move_by_what_the_normalization_found() {
    let (recorder, device) = Recorder::device(Limits::WEBGPU);
    let mut model = model();
    model.compile(&device, Compile::default()).unwrap();
    model.predict(&bars(3)).unwrap();
    model.fit(&bars(3), Fit::default()).unwrap();
    let plans = recorder.plans();
    assert_eq!(plans.len(), 2, "a prediction and a training step");
    // In the prediction, the one after the convolution is folded into its weights.
    for (plan, (normalizations, moved)) in plans.iter().zip([(1, 0), (2, 4)]) {
        let names: Vec<&str> = plan.calls.iter().map(|call| call.kernel.name).collect();
        let count = |kernel: &str| names.iter().filter(|&&name| name == kernel).count();
        assert_eq!((count("activation.forward"), count("batch_norm.forward")), (0, normalizations), "{plan}");
        assert_eq!(count("moving_average.update"), moved, "{plan}");
        let first = |kernel: &str| names.iter().position(|&name| name == kernel);
        assert!(moved == 0 || first("moments.merge") < first("moving_average.update"), "{plan}");
    }
}

#[test]
fn a_network_with_batch_normalization_learns_and_its_statistics_move_in_training_only() {
    let data = bars(99);
    let mut model = compiled();
    let first = statistics(&model);
    model.evaluate(&data).unwrap();
    model.predict(&data).unwrap();
    assert_eq!(statistics(&model), first);

    // The statistics need about 1 / (1 - momentum) steps to converge.
    model.fit(&data, Fit { epochs: 100, ..Fit::default() }).unwrap();
    let trained = statistics(&model);
    assert!(trained.iter().zip(&first).all(|(trained, first)| trained != first));
    let score = model.evaluate(&data).unwrap();
    assert!(score.accuracy() > Some(0.95), "{score:?}");
    model.predict(&data).unwrap();
    assert_eq!(statistics(&model), trained);
}

#[test]
fn a_frozen_batch_normalization_keeps_every_bit_and_uses_the_statistics_that_it_has() {
    let mut model = model();
    model.set_trainable("norm", false).unwrap();
    model.set_trainable("conv2d", false).unwrap();
    model.compile(device(), Compile::default()).unwrap();
    let frozen = |name: &str| name.starts_with("norm/") || name.starts_with("conv2d/");
    let (before, others) = (bits_of(&model, frozen), bits_of(&model, |name| !frozen(name)));
    model.fit(&bars(70), Fit { epochs: 2, ..Fit::default() }).unwrap();
    assert_eq!(bits_of(&model, frozen), before);
    assert_ne!(bits_of(&model, |name| !frozen(name)), others);
}

#[test]
fn a_frozen_network_gives_in_training_what_it_gives_in_evaluation() {
    let (data, mut model) = (bars(32), compiled());
    model.fit(&bars(70), Fit { epochs: 2, ..Fit::default() }).unwrap();
    for layer in ["conv2d", "norm", "dense", "dense_norm"] {
        model.set_trainable(layer, false).unwrap();
    }
    model.compile(device(), Compile::default()).unwrap();
    let score = model.evaluate(&data).unwrap();
    let history = model.fit(&data, Fit { shuffle: false, ..Fit::default() }).unwrap();
    assert!(close(history.epochs[0].loss, score.loss, 1e-6), "{} {}", history.epochs[0].loss, score.loss);
}

#[test]
fn a_resumed_training_has_the_moving_statistics_of_one_that_was_not_interrupted() {
    let fit = |model: &mut Model, initial_epoch, epochs| {
        model.fit(&bars(131), Fit { initial_epoch, epochs, seed: 3, ..Fit::default() }).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let (mut whole, mut first, mut second) = (compiled(), compiled(), compiled());
    fit(&mut whole, 0, 4);
    fit(&mut first, 0, 2);
    first.save_checkpoint(&checkpoint).unwrap();
    second.initialize(99).unwrap();
    assert_eq!(second.load_checkpoint(&checkpoint).unwrap(), 2);
    fit(&mut second, 2, 4);
    assert_eq!(bits_of(&second, |_| true), bits_of(&whole, |_| true));
}

#[test]
fn a_loaded_network_with_batch_normalization_predicts_the_same_bits() {
    let (data, folder) = (bars(131), tempfile::tempdir().unwrap());
    let mut trained = compiled();
    trained.fit(&data, Fit::default()).unwrap();
    trained.save(folder.path()).unwrap();
    let mut loaded = Model::load(folder.path()).unwrap();
    loaded.to_device(device()).unwrap();
    assert_eq!(bits_of(&loaded, |_| true), bits_of(&trained, |_| true));
    let predicted = |model: &mut Model| -> Vec<u32> {
        model.predict(&data).unwrap().values.iter().map(|value| value.to_bits()).collect()
    };
    assert_eq!(predicted(&mut loaded), predicted(&mut trained));
}

/// The training recorded by `peers/batch_normalization.py`.
struct Recorded {
    bytes: Vec<u8>,
}

impl Recorded {
    fn open() -> Recorded {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/batch_normalization.safetensors");
        Recorded { bytes: std::fs::read(path).unwrap() }
    }

    fn metadata(&self, key: &str) -> String {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).unwrap();
        metadata.metadata().as_ref().unwrap()[key].clone()
    }

    fn values<T: kiln::bytemuck::AnyBitPattern + kiln::bytemuck::NoUninit>(&self, name: &str) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        kiln::bytemuck::pod_collect_to_vec(tensors.tensor(name).unwrap().data())
    }

    /// The model file written by a version of Keras.
    fn model(&self, key: &str) -> Model {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), self.metadata(key)).unwrap();
        Model::from_json_file(file.path()).unwrap()
    }
}

/// A bias before batch normalization has only noise as its gradient, so differences are absolute; the weights are near
/// 1.
fn assert_near(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{name} differs by {worst:.1e}");
}

#[test]
fn three_steps_with_batch_normalization_are_those_of_keras() {
    let recorded = Recorded::open();
    let mut model = recorded.model("model");
    let weights = |model: &Model, prefix: &str| -> Vec<Weight> {
        let mut weights = model.get_weights().unwrap();
        weights.iter_mut().for_each(|weight| weight.values = recorded.values(&format!("{prefix}/{}", weight.name)));
        weights
    };
    model.set_weights(&weights(&model, "initial")).unwrap();
    let optimizer = SGD { learning_rate: 0.1.into(), ..SGD::default() };
    model.compile(device(), Compile { optimizer: optimizer.into(), ..Compile::default() }).unwrap();
    let labels = Labels::index(recorded.values("labels"), 3);
    let data = Dataset::from_f32([6, 6, 2], recorded.values("x"), labels).unwrap();
    let history = model.fit(&data, Fit { batch_size: 16, shuffle: false, ..Fit::default() }).unwrap();

    let losses: Value = serde_json::from_str(&recorded.metadata("losses")).unwrap();
    assert_eq!(history.epochs[0].batch_losses.len(), 3);
    for (found, expected) in history.epochs[0].batch_losses.iter().zip(losses.as_array().unwrap()) {
        assert!(close(*found, expected.as_f64().unwrap(), 1e-5), "expected {expected}, found {found}");
    }
    for (found, expected) in model.get_weights().unwrap().iter().zip(&weights(&model, "final")) {
        assert_near(&found.name, &found.values, &expected.values);
    }
    assert_near("predictions", &model.predict(&data).unwrap().values, &recorded.values::<f32>("predictions"));
}

#[test]
fn keras_2_and_keras_3_write_the_same_network() {
    let recorded = Recorded::open();
    let [new, old] = ["model", "keras_2"].map(|key| recorded.model(key));
    assert_eq!(new.summary().to_string(), old.summary().to_string());
    let names =
        |model: &Model| -> Vec<String> { model.get_weights().unwrap().into_iter().map(|weight| weight.name).collect() };
    assert_eq!(names(&new), names(&old));
    let norm = |part: &str| format!("norm/{part}");
    assert_eq!(names(&new)[2..6], ["gamma", "beta", "moving_mean", "moving_variance"].map(norm));
}
