//! Frozen layers: their weights stay bit-identical, other layers train as if nothing were frozen, and no gradients are
//! computed for them.

use std::ops::ControlFlow;

use kiln::data::Dataset;
use kiln::layers::{Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D};
use kiln::optimizers::{Adam, SGD};
use kiln::{BatchLogs, Callback, Compile, FeatureCache, Fit, Model, Sequential};

use crate::common::{bars, bits, device};

const LAYERS: [&str; 4] = ["conv_a", "conv_b", "dense_a", "dense_b"];

/// Four layers with weights.
fn four() -> Model {
    let mut model = Sequential::new([6, 6, 1]);
    model
        .add(Conv2D::new(5, [3, 3]).activation(Activation::Relu).named("conv_a"))
        .add(Conv2D::new(7, [2, 2]).named("conv_b"))
        .add(MaxPooling2D::new([2, 2]))
        .add(Flatten)
        .add(Dense::new(9).activation(Activation::Tanh).named("dense_a"))
        .add(Dense::new(3).activation(Activation::Softmax).named("dense_b"));
    model
}

/// With batch normalization layers, some of them frozen.
fn normalized(frozen: [bool; 2]) -> Model {
    let norm = |i: usize| BatchNormalization::new().trainable(!frozen[i]);
    let mut model = Sequential::new([6, 6, 1]);
    model
        .add(Conv2D::new(5, [3, 3]).use_bias(false).named("conv_a"))
        .add(norm(0))
        .add(Conv2D::new(7, [2, 2]).activation(Activation::Relu).named("conv_b"))
        .add(norm(1))
        .add(Flatten)
        .add(Dense::new(9).named("dense_a"))
        .add(Dense::new(3).activation(Activation::Softmax).named("dense_b"));
    model
}

fn freeze(model: &mut Model, pattern: usize) {
    for (i, layer) in LAYERS.into_iter().enumerate() {
        model.set_trainable(layer, pattern >> i & 1 == 0).unwrap();
    }
}

/// The weights by name after one step of gradient descent, which are determined by the gradients.
fn stepped(mut model: Model) -> Vec<(String, Vec<u32>)> {
    let optimizer = SGD { learning_rate: 0.5.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    model.fit(&bars(12), Fit { batch_size: 12, ..Fit::default() }).unwrap();
    let bits_of = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    model.get_weights().unwrap().into_iter().map(|weight| (weight.name, bits_of(weight.values))).collect()
}

fn gradients_are_those_of_the_unfrozen(build: &dyn Fn() -> Model) {
    let before = build().get_weights().unwrap();
    let unfrozen = stepped(build());
    for pattern in 1..1 << LAYERS.len() {
        let mut model = build();
        freeze(&mut model, pattern);
        for (i, (name, after)) in stepped(model).into_iter().enumerate() {
            let layer = name.split('/').next().unwrap();
            let frozen = LAYERS.iter().position(|other| *other == layer).is_some_and(|i| pattern >> i & 1 == 1);
            let expected = if frozen { bits(&before[i..=i]) } else { unfrozen[i].1.clone() };
            assert!(after == expected, "{name}, frozen: {frozen}, pattern {pattern:04b}");
        }
    }
}

#[test]
fn gradients_of_every_freeze_pattern_are_those_of_the_unfrozen_network() {
    gradients_are_those_of_the_unfrozen(&four);
}

#[test]
fn gradients_past_batch_normalizations_that_are_frozen_or_not_are_the_same_too() {
    for frozen in [[false, false], [true, false], [false, true], [true, true]] {
        gradients_are_those_of_the_unfrozen(&|| normalized(frozen));
    }
}

#[test]
fn frozen_weights_and_statistics_do_not_move_by_a_bit() {
    let mut model = normalized([true, true]);
    model.layers(..4).unwrap().set_trainable(false);
    let before = model.get_weights().unwrap();
    model.compile(device(), Compile { optimizer: Adam::default().into(), ..Compile::default() }).unwrap();
    model.fit(&bars(36), Fit { epochs: 3, batch_size: 8, ..Fit::default() }).unwrap();
    let after = model.get_weights().unwrap();
    for (before, after) in before.iter().zip(&after) {
        let moved = bits(std::slice::from_ref(before)) != bits(std::slice::from_ref(after));
        assert_eq!(moved, before.name.starts_with("dense"), "{}", before.name);
    }
}

#[test]
fn nothing_is_computed_below_the_first_trainable_layer() {
    let calls = |frozen: usize| {
        let mut model = four();
        model.layers(..frozen).unwrap().set_trainable(false);
        model.compile(device(), Compile::default()).unwrap();
        let profile = model.profile(&bars(24), 8, 2).unwrap();
        let gradients =
            |call: &&kiln::graph::CallTime| call.kernel.contains("gradient") || call.kernel.ends_with(".tn");
        let scopes = profile.calls.iter().filter(gradients).map(|call| call.scope.clone());
        let mut scopes: Vec<String> = scopes.filter(|scope| LAYERS.contains(&&**scope)).collect();
        scopes.dedup();
        scopes.reverse();
        scopes
    };
    assert_eq!(calls(0), LAYERS);
    assert_eq!(calls(1), &LAYERS[1..]);
    assert_eq!(calls(2), &LAYERS[2..]);
    assert_eq!(calls(5), &LAYERS[3..]);
}

/// The loss of every batch.
#[derive(Default)]
struct Losses(Vec<f64>);

impl Callback for Losses {
    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        self.0.push(logs.batch_loss);
        ControlFlow::Continue(())
    }
}

/// A network with frozen first layers, followed by dropout.
fn head_on_body() -> Model {
    let mut model = normalized([true, true]);
    model.layers(..4).unwrap().set_trainable(false);
    let x = model.sub_model(model.get_layer("dense_a").unwrap().output).unwrap();
    let mut model = x;
    let x = model.apply(Dropout::new(0.4), model.output());
    model.apply(Dense::new(3).activation(Activation::Softmax), x);
    model.compile(device(), Compile { optimizer: Adam::default().into(), ..Compile::default() }).unwrap();
    model
}

fn losses(data: &Dataset, train: impl FnOnce(&mut Model, Fit<'_>, &mut [&mut dyn Callback])) -> (Vec<f64>, Vec<u32>) {
    let (mut model, mut losses) = (head_on_body(), Losses::default());
    let validation = bars(9);
    let fit = Fit { epochs: 3, batch_size: 8, seed: 5, validation_data: Some(&validation), ..Fit::default() };
    train(&mut model, fit, &mut [&mut losses]);
    assert!(model.evaluate(data).unwrap().loss.is_finite());
    (losses.0, bits(&model.get_weights().unwrap()))
}

#[test]
fn training_behind_features_that_are_kept_gives_the_same_losses_and_weights() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.safetensors");
    let data = bars(36);
    let fitted = losses(&data, |model, fit, callbacks| drop(model.fit_with_callbacks(&data, fit, callbacks).unwrap()));
    assert_eq!(fitted.0.len(), 15);
    let in_memory = losses(&data, |model, fit, callbacks| {
        drop(model.fine_tune_with_callbacks(&data, FeatureCache::Memory, fit, callbacks).unwrap());
    });
    assert_eq!(in_memory, fitted);
    let with_file = |data: &Dataset| {
        let cache = FeatureCache::File(file.clone());
        losses(data, |model, fit, callbacks| {
            drop(model.fine_tune_with_callbacks(data, cache, fit, callbacks).unwrap());
        })
    };
    assert_eq!(with_file(&data), fitted);
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(with_file(&data), fitted);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written, "the features were there");

    // Other preprocessing changes the features.
    let rescaled = data.clone().rescaled(1.0 / 100.0, 0.5);
    let expected =
        losses(&rescaled, |model, fit, callbacks| drop(model.fit_with_callbacks(&rescaled, fit, callbacks).unwrap()));
    assert_eq!(with_file(&rescaled), expected);
}

#[test]
fn a_file_that_holds_no_features_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    four().save_weights(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let cache = FeatureCache::File(path.clone());
    let error = head_on_body().fine_tune(&bars(6), cache, Fit::default()).unwrap_err().to_string();
    assert!(error.contains("expected a file with `kiln.features` in its metadata"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn fine_tuning_without_a_frozen_body_says_what_to_do() {
    let mut model = four();
    model.compile(device(), Compile::default()).unwrap();
    let error = model.fine_tune(&bars(6), FeatureCache::Memory, Fit::default()).unwrap_err().to_string();
    assert!(error.contains("freeze them before compile(), or use fit()"), "{error}");
}

#[test]
fn freezing_a_convolution_without_its_normalization_is_told() {
    let mut model = normalized([false, false]);
    assert!(model.split_normalizations().is_empty());
    model.layers(..3).unwrap().set_trainable(false);
    assert_eq!(model.split_normalizations(), [("conv_b", "batch_normalization_1")]);
}

#[test]
fn layers_that_are_not_there_are_named() {
    let mut model = four();
    let error = model.layers(..9).unwrap_err().to_string();
    assert_eq!(error, "layers: expected a range within the 6 layers, found 0..9");
    let error = model.set_trainable("conv_c", false).unwrap_err().to_string();
    assert!(error.contains("conv_a, conv_b, max_pooling2d, flatten, dense_a, dense_b") && error.contains("`conv_c`"));
}
