//! NaN and infinities propagate as in IEEE 754, in ops and in trainings, which end with an error and save finite
//! weights.

use std::sync::Arc;

use kiln::callbacks::{LearningRateScheduler, ModelCheckpoint, TerminateOnNaN};
use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, Op};
use kiln::layers::{
    Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Dropout, ELU, Flatten, GlobalAveragePooling2D,
    GlobalMaxPooling2D, LeakyReLU, MaxPooling2D, Named, ReLU, ZeroPadding2D,
};
use kiln::losses::{BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanAbsoluteError, MeanSquaredError};
use kiln::ops::{GlobalMaxPool2d, GlobalMaxPool2dGradient, MaxPool2d, Padding, Relu};
use kiln::optimizers::{Adadelta, Adagrad, Adam, Nadam, Optimizer, RMSprop, SGD};
use kiln::{Compile, Error, Fit, Model, OpProgram, Sequential};

use crate::common::{device, files};

/// The results of an op on a device.
fn made(op: impl Op + 'static, inputs: &[Array]) -> Vec<f64> {
    let mut program = OpProgram::new(device(), std::sync::Arc::new(op), inputs, &[]).unwrap();
    program.run(1).unwrap();
    program.results().unwrap().remove(0).data
}

#[test]
fn a_pooling_keeps_nan_and_minus_infinity() {
    let image = |values: [f64; 4]| [Array::f32([1, 2, 2, 1], values.to_vec())];
    let pool = MaxPool2d { pool_size: [2, 2], strides: [2, 2], padding: Padding::Valid };
    let low = image([f64::NEG_INFINITY; 4]);
    assert_eq!(made(GlobalMaxPool2d, &low), [f64::NEG_INFINITY]);
    assert_eq!(made(pool, &low), [f64::NEG_INFINITY]);
    for place in 0..4 {
        let mut values = [1.0, 4.0, 3.0, 2.0];
        values[place] = f64::NAN;
        assert!(made(GlobalMaxPool2d, &image(values))[0].is_nan(), "{place}");
        assert!(made(pool, &image(values))[0].is_nan(), "{place}");
    }
}

#[test]
fn rectifiers_make_0_of_minus_infinity_and_keep_infinity_and_nan() {
    let x = [Array::f32([3], vec![f64::NEG_INFINITY, f64::INFINITY, f64::NAN])];
    let relu = |max_value, negative_slope| Relu { max_value, threshold: 0.0, negative_slope };
    let check = |op: Relu, expected: [f64; 2]| {
        let y = made(op, &x);
        assert!(y[..2] == expected && y[2].is_nan(), "{op:?}: {y:?}");
    };
    check(relu(6.0, 0.0), [0.0, 6.0]);
    check(relu(f32::INFINITY, 0.0), [0.0, f64::INFINITY]);
    check(relu(f32::INFINITY, 0.5), [f64::NEG_INFINITY, f64::INFINITY]);
}

#[test]
fn the_maxima_of_a_channel_share_the_gradient_evenly_as_in_tensorflow() {
    let inputs = [Array::f32([1, 2, 2, 1], vec![1.0, 3.0, 3.0, 2.0]), Array::f32([1, 1], vec![6.0])];
    assert_eq!(made(GlobalMaxPool2dGradient, &inputs), [0.0, 3.0, 3.0, 0.0]);
    // A dead layer: all of its outputs are 0.
    let dead = [Array::f32([1, 2, 4, 1], vec![0.0; 8]), Array::f32([1, 1], vec![1.0])];
    assert_eq!(made(GlobalMaxPool2dGradient, &dead), [0.125; 8]);
}

/// 12 images of 6 x 6 with values between 0 and 1.
fn pixels() -> Vec<f32> {
    Array::random([12 * 36], 3).data.into_iter().map(|v| 0.5 + 0.5 * v as f32).collect()
}

fn classes() -> Labels {
    Labels::index((0..12).map(|sample| sample % 3).collect(), 3)
}

fn model(layers: Vec<Named>) -> Model {
    let mut model = Sequential::new([6, 6, 1]);
    layers.into_iter().for_each(|layer| {
        model.add(layer);
    });
    model
}

/// A convolution, another layer, and an output for each of three classes.
fn behind_a_convolution(layers: Vec<Named>) -> Model {
    let first: Named = Conv2D::new(4, [3, 3]).into();
    let last: [Named; 2] = [Flatten.into(), Dense::new(3).activation(Activation::Softmax).into()];
    model([first].into_iter().chain(layers).chain(last).collect())
}

/// Trains for three epochs of three steps and saves each. Returns the error and the saved files.
fn diverge(model: &mut Model, data: &Dataset, compile: Compile) -> (Error, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    model.compile(device(), compile).unwrap();
    let path = format!("{}/{{epoch}}.safetensors", folder.path().display());
    let mut saver = ModelCheckpoint { save_weights_only: true, ..ModelCheckpoint::new(path) };
    let fit = Fit { epochs: 3, batch_size: 4, ..Fit::default() };
    let error = model.fit_with_callbacks(data, fit, &mut [&mut saver]).expect_err("a loss is NaN");
    (error, files(folder.path()))
}

fn assert_ends_at_once(what: &str, (error, saved): (Error, Vec<String>)) {
    assert!(matches!(error, Error::NonFinite { epoch: 1, .. }), "{what}: {error}");
    assert_eq!(saved, [""; 0], "{what}");
}

#[test]
fn a_nan_pixel_ends_a_training_whatever_layers_there_are() {
    let layers: Vec<Vec<Named>> = vec![
        vec![Activation::Relu.into()],
        vec![Activation::Relu.into(), MaxPooling2D::new([2, 2]).into()],
        vec![Activation::Tanh.into(), AveragePooling2D::new([2, 2]).into()],
        vec![Activation::Sigmoid.into(), GlobalMaxPooling2D::new().into()],
        vec![Activation::Selu.into(), GlobalAveragePooling2D::new().into()],
        vec![Activation::Softplus.into(), ZeroPadding2D::new([[1, 1], [1, 1]]).into()],
        vec![ReLU::new().max_value(6.0).into(), MaxPooling2D::new([3, 3]).strides([1, 1]).into()],
        vec![BatchNormalization::new().into(), Activation::Relu.into()],
        vec![ELU::default().into(), Dropout::new(0.5).into()],
        vec![LeakyReLU::default().into(), Activation::Gelu.into()],
    ];
    let mut values = pixels();
    values[5 * 36 + 14] = f32::NAN;
    let data = Dataset::from_f32([6, 6, 1], values, classes()).unwrap();
    for layers in layers {
        let what = format!("{layers:?}");
        assert_ends_at_once(&what, diverge(&mut behind_a_convolution(layers), &data, Compile::default()));
    }
}

#[test]
fn a_nan_gradient_reaches_the_weights_by_every_optimizer_and_through_clipping() {
    let optimizers: [Arc<dyn Optimizer>; 8] = [
        Adam::default().into(),
        Adam { amsgrad: true, ..Adam::default() }.into(),
        Nadam::default().into(),
        Adagrad::default().into(),
        Adadelta::default().into(),
        RMSprop { centered: true, momentum: 0.9, ..RMSprop::default() }.into(),
        SGD::default().into(),
        SGD { momentum: 0.9, nesterov: true, ..SGD::default() }.into(),
    ];
    let mut values = pixels();
    values[3] = f32::NAN;
    let data = Dataset::from_f32([6, 6, 1], values, classes()).unwrap();
    for (i, optimizer) in optimizers.into_iter().enumerate() {
        let what = format!("{optimizer:?}");
        let limit = |kind: usize| (i % 4 == kind).then_some(0.5);
        let compile = Compile {
            optimizer,
            clipvalue: limit(1),
            clipnorm: limit(2),
            global_clipnorm: limit(3),
            ..Compile::default()
        };
        let mut model = behind_a_convolution(vec![Activation::Relu.into()]);
        assert_ends_at_once(&what, diverge(&mut model, &data, compile));
        let weights = model.get_weights().unwrap();
        assert!(weights.iter().any(|weight| weight.values.iter().any(|v| v.is_nan())), "{what}");
    }
}

#[test]
fn a_nan_target_ends_a_training_by_every_loss() {
    let mut targets: Vec<f32> = (0..36).map(|i| f32::from(u8::from(i % 3 == i / 3 % 3))).collect();
    targets[7 * 3 + 1] = f32::NAN;
    let data = Dataset::from_f32([6, 6, 1], pixels(), Labels::values(targets, 3)).unwrap();
    let losses = |from_logits| -> [Arc<dyn Loss>; 4] {
        [
            CategoricalCrossentropy { from_logits, ..Default::default() }.into(),
            BinaryCrossentropy { from_logits, ..Default::default() }.into(),
            MeanSquaredError.into(),
            MeanAbsoluteError.into(),
        ]
    };
    for (loss, last) in [false, true].into_iter().flat_map(|last| losses(!last).map(|loss| (loss, last))) {
        let output = if last { Dense::new(3).activation(Activation::Sigmoid) } else { Dense::new(3) };
        let mut model = model(vec![Flatten.into(), output.into()]);
        let what = format!("{loss:?} {last}");
        let compile = Compile { loss: loss.into(), ..Compile::default() };
        assert_ends_at_once(&what, diverge(&mut model, &data, compile));
    }
}

#[test]
fn an_initial_weight_that_is_not_finite_ends_a_training() {
    let data = Dataset::from_f32([6, 6, 1], pixels(), classes()).unwrap();
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in 0..4 {
            let mut model = behind_a_convolution(vec![MaxPooling2D::new([2, 2]).into()]);
            model.initialize(1).unwrap();
            let mut weights = model.get_weights().unwrap();
            weights[place].values[1] = wrong;
            model.set_weights(&weights).unwrap();
            assert_ends_at_once(&format!("{wrong} in {place}"), diverge(&mut model, &data, Compile::default()));
        }
    }
}

/// A network, and samples for one step per epoch, whose loss is computed before the weights change. Their values, and
/// so the gradients, are large.
fn one_step_an_epoch() -> (Model, Dataset) {
    let model = behind_a_convolution(vec![Activation::Relu.into()]);
    let values = pixels().into_iter().map(|v| 100.0 * v).collect();
    (model, Dataset::from_f32([6, 6, 1], values, classes()).unwrap())
}

#[test]
fn weights_that_the_last_step_of_an_epoch_made_infinite_are_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = |epoch: usize| folder.path().join(format!("{epoch}.safetensors"));
    let (mut model, data) = one_step_an_epoch();
    let optimizer = SGD { learning_rate: 1e-6.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    // The third step's loss is finite, because the weights before it are.
    let mut rate = LearningRateScheduler::new(|epoch, rate| if epoch == 2 { 3e38 } else { rate });
    let pattern = format!("{}/{{epoch}}.safetensors", folder.path().display());
    let mut saver = ModelCheckpoint { save_weights_only: true, ..ModelCheckpoint::new(pattern) };
    let fit = Fit { epochs: 5, ..Fit::default() };
    let error = model.fit_with_callbacks(&data, fit, &mut [&mut rate, &mut saver]).unwrap_err();
    let Error::NonFinite { epoch: 3, step: 1, what, value } = &error else { panic!("{error}") };
    assert!(what.contains("kernel") || what.contains("bias"), "{error}");
    assert!(!value.is_finite(), "{error}");
    assert_eq!(files(folder.path()), ["1.safetensors", "2.safetensors"]);
    model.load_weights(path(2)).unwrap();
    assert!(model.get_weights().unwrap().iter().all(|weight| weight.values.iter().all(|v| v.is_finite())));
}

#[test]
fn terminate_on_nan_stops_a_training_whose_weights_are_no_longer_finite() {
    let (mut model, data) = one_step_an_epoch();
    let optimizer = SGD { learning_rate: 3e38.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    let history =
        model.fit_with_callbacks(&data, Fit { epochs: 5, ..Fit::default() }, &mut [&mut TerminateOnNaN]).unwrap();
    assert!(history.stopped && history.epochs.len() <= 2 && !history.epochs.last().unwrap().complete, "{history:?}");
}

#[test]
fn a_nan_among_the_samples_that_validate_ends_fit() {
    let mut values = pixels();
    values[11 * 36 + 5] = f32::NAN;
    let data = Dataset::from_f32([6, 6, 1], values, classes()).unwrap();
    let split = || Fit { epochs: 3, validation_split: 0.25, ..Fit::default() };
    let mut model = behind_a_convolution(Vec::new());
    model.compile(device(), Compile::default()).unwrap();
    match model.fit(&data, split()) {
        Err(Error::NonFinite { epoch: 1, what, value, .. }) => {
            assert!(what == "the validation loss" && value.is_nan(), "{what} {value}");
        }
        other => panic!("{other:?}"),
    }
    let history = model.fit_with_callbacks(&data, split(), &mut [&mut TerminateOnNaN]).unwrap();
    assert!(history.stopped && !history.epochs[0].complete && history.epochs[0].val_loss.is_none());
}
