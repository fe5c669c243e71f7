//! The outputs and gradients of layers, compared with Keras 3.15: `fixtures/layers.safetensors`, written by
//! `peers/layers.py`.

use kiln::data::{Dataset, Labels};
use kiln::graph::Array;
use kiln::layers::{
    AveragePooling1D, Dense, ELU, GaussianNoise, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling1D,
    GlobalMaxPooling2D, Layer, LeakyReLU, MaxPooling1D, Named, Padding, ReLU, Rescaling, Softmax, SpatialDropout2D,
    StochasticDepth, ZeroPadding2D,
};
use kiln::losses::MeanSquaredError;
use kiln::optimizers::SGD;
use kiln::{Compile, Fit, Model, Sequential, Weight};
use serde_json::Value;

use crate::common::{device, largest_difference};
use crate::recorded::Recorded;

/// The output of a layer for one sample.
fn given(layer: impl Into<Named>, shape: &[usize], sample: &[f32]) -> Vec<f32> {
    let mut model = Sequential::new(shape.to_vec());
    model.add(layer);
    model.compile(device(), Compile::default()).unwrap();
    model.predict_values(sample.to_vec()).unwrap().values
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let agrees = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
    assert!(agrees, "expected {expected:?}, found {found:?}");
}

#[test]
fn layers_that_work_on_each_value_give_what_keras_gives() {
    let x = [-1.0, 0.25, 0.5, 1.0, 7.0];
    let check = |layer: Named, expected: [f32; 5]| assert_close(&given(layer, &[5], &x), &expected);
    check(ReLU::new().into(), [0.0, 0.25, 0.5, 1.0, 7.0]);
    check(ReLU::new().max_value(2.0).into(), [0.0, 0.25, 0.5, 1.0, 2.0]);
    let relu = ReLU::new().max_value(6.0).negative_slope(0.1).threshold(0.5);
    check(relu.into(), [-0.15, -0.025, 0.0, 1.0, 6.0]);
    check(LeakyReLU::default().into(), [-0.3, 0.25, 0.5, 1.0, 7.0]);
    check(ELU::new(0.5).into(), [-0.316_060_28, 0.25, 0.5, 1.0, 7.0]);
    check(Rescaling::new(0.5).offset(-1.0).into(), [-1.5, -0.875, -0.75, -0.5, 2.5]);
    let softmax = given(Softmax::new(), &[5], &x);
    assert!((softmax.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{softmax:?}");
    assert!((softmax[4] / softmax[3] / 6.0f32.exp() - 1.0).abs() < 1e-5, "{softmax:?}");
}

#[test]
fn layers_that_change_an_images_size_give_what_keras_gives() {
    let image: Vec<f32> = (0..12).map(|value| value as f32).collect();
    let check = |layer: Named, expected: &[f32]| assert_close(&given(layer, &[2, 3, 2], &image), expected);
    check(GlobalAveragePooling2D::new().into(), &[5.0, 6.0]);
    check(GlobalMaxPooling2D::new().keepdims(true).into(), &[10.0, 11.0]);
    let mut padded = vec![0.0; 8];
    padded.extend([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 0.0, 0.0]);
    check(ZeroPadding2D::new([[1, 0], [0, 1]]).into(), &padded);
}

#[test]
fn poolings_of_sequences_give_what_keras_gives() {
    let steps: Vec<f32> = (0..10).map(|value| value as f32).collect();
    let check = |layer: Named, expected: &[f32]| assert_close(&given(layer, &[5, 2], &steps), expected);
    check(MaxPooling1D::new(2).into(), &[2.0, 3.0, 6.0, 7.0]);
    let same = AveragePooling1D::new(3).strides(2).padding(Padding::Same);
    check(same.into(), &[1.0, 2.0, 4.0, 5.0, 7.0, 8.0]);
    check(GlobalAveragePooling1D::new().into(), &[4.0, 5.0]);
    check(GlobalMaxPooling1D::new().keepdims(true).into(), &[8.0, 9.0]);
}

/// The model of a recorded case.
fn loaded(case: &Value) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    std::fs::write(&path, case["model"].to_string()).unwrap();
    Model::from_json_file(&path).unwrap_or_else(|error| panic!("{}: {error}", case["name"]))
}

/// A recorded model, with the weights before the step.
fn recorded_model(recorded: &Recorded, i: usize, case: &Value) -> Model {
    let mut model = loaded(case);
    let weights = model.get_weights().unwrap().into_iter().enumerate();
    let values = |array: Array| array.data.into_iter().map(|value| value as f32).collect();
    let weights = weights
        .map(|(n, weight)| Weight { values: values(recorded.get(i, &format!("before.{n}")).unwrap()), ..weight });
    model.set_weights(&weights.collect::<Vec<_>>()).unwrap();
    let optimizer = SGD { learning_rate: 64.0.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
    model
}

/// The largest absolute value.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()))
}

#[test]
fn outputs_and_gradients_of_layers_are_those_of_keras() {
    let recorded = Recorded::open("layers");
    let cases = recorded.cases();
    assert_eq!(cases.len(), 157);
    let mut wrong = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let mut model = recorded_model(&recorded, i, case);
        let x = recorded.get(i, "x").unwrap();
        let samples: Vec<f32> = x.data.iter().map(|&value| value as f32).collect();
        let output = recorded.get(i, "output").unwrap();
        let found = model.predict_values(samples.clone()).unwrap().values;
        let error = largest_difference(&found, &output.data) / largest(&output.data);
        if error > 2e-6 {
            wrong.push(format!("{}: output is off by {error:.1e}", case["name"]));
        }
        if case["step"] == false {
            continue;
        }
        let y = recorded.get(i, "y").unwrap();
        let targets = y.data.iter().map(|&value| value as f32).collect();
        let labels = Labels::values(targets, output.shape()[1]);
        let data = Dataset::from_f32(x.shape()[1..].to_vec(), samples, labels).unwrap();
        model.fit(&data, Fit { shuffle: false, ..Fit::default() }).unwrap();
        let recorded_weights = |when: &str| -> Vec<Vec<f64>> {
            (0..).map_while(|n| recorded.get(i, &format!("{when}.{n}"))).map(|array| array.data).collect()
        };
        let changes =
            |before: &[f64], after: &[f64]| after.iter().zip(before).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let (before, after) = (recorded_weights("before"), recorded_weights("after"));
        let expected: Vec<Vec<f64>> = before.iter().zip(&after).map(|(before, after)| changes(before, after)).collect();
        // Some layers leave no gradient of the bias in front of them but rounding errors.
        let scale = expected.iter().map(|change| largest(change)).fold(0.0, f64::max);
        for ((weight, before), expected) in model.get_weights().unwrap().iter().zip(&before).zip(&expected) {
            let after: Vec<f64> = weight.values.iter().map(|&value| f64::from(value)).collect();
            let found: Vec<f32> = changes(before, &after).into_iter().map(|change| change as f32).collect();
            let error = largest_difference(&found, expected) / scale;
            if error > 2e-5 {
                wrong.push(format!("{}: the change of {} is off by {error:.1e}", case["name"], weight.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn layers_are_written_as_keras_writes_them() {
    let recorded = Recorded::open("layers");
    for case in recorded.cases() {
        let model = loaded(&case);
        let written: Value = serde_json::from_str(&model.to_json().unwrap()).unwrap();
        let layers = |model: &Value| model["config"]["layers"].as_array().unwrap().clone();
        let expected = layers(&case["model"]);
        for (mut found, expected) in layers(&written).into_iter().zip(&expected) {
            // A layer as an activation function has a name in Keras' files, which does not matter.
            if let (Value::Object(_), Some(found)) =
                (&expected["config"]["activation"], found.pointer_mut("/config/activation"))
            {
                *found = expected["config"]["activation"].clone();
            }
            let module = expected["module"].as_str().unwrap();
            // An operation becomes a layer that computes the same.
            if !module.starts_with("keras.src.ops") {
                assert_eq!(found, *expected, "{}", case["name"]);
            }
        }
    }
}

/// The outputs in training for 64 samples of ones, `[2, 3, 8]` each.
fn outputs_in_training(layer: impl Layer + 'static) -> Vec<f32> {
    let mut model = Sequential::new([2, 3, 8]);
    model.add(layer.training(true));
    model.compile(device(), Compile::default()).unwrap();
    model.predict_values(vec![1.0; 64 * 48]).unwrap().values
}

/// The share of the samples or channels that is kept, each with all of its values.
fn kept<'a>(units: impl Iterator<Item = Vec<&'a f32>>) -> f64 {
    let kept = units.map(|values| {
        assert!(values.iter().all(|value| *value == values[0]) && [0.0, 4.0].contains(values[0]), "{values:?}");
        f64::from(u8::from(*values[0] > 0.0))
    });
    let kept: Vec<f64> = kept.collect();
    kept.iter().sum::<f64>() / kept.len() as f64
}

#[test]
fn channels_and_samples_are_dropped_as_a_whole_in_training() {
    let channels = outputs_in_training(SpatialDropout2D::new(0.75));
    let of_sample = |sample: usize, c: usize| channels[sample * 48..][..48].iter().skip(c).step_by(8).collect();
    let share = kept((0..64 * 8).map(|unit| of_sample(unit / 8, unit % 8)));
    assert!((share - 0.25).abs() < 0.08, "{share}");
    let samples = outputs_in_training(StochasticDepth::new(0.75));
    let share = kept(samples.chunks(48).map(|sample| sample.iter().collect()));
    assert!((share - 0.25).abs() < 0.2, "{share}");
    assert!(outputs_in_training(StochasticDepth::new(1.0)).iter().all(|&value| value == 0.0));
}

#[test]
fn noise_has_its_deviation_in_training() {
    let noise: Vec<f64> =
        outputs_in_training(GaussianNoise::new(0.5)).into_iter().map(|v| f64::from(v) - 1.0).collect();
    let count = noise.len() as f64;
    let mean = noise.iter().sum::<f64>() / count;
    let deviation = (noise.iter().map(|noise| noise * noise).sum::<f64>() / count).sqrt();
    assert!(mean.abs() < 0.04 && (deviation - 0.5).abs() < 0.03, "{mean} {deviation}");
    assert!(outputs_in_training(GaussianNoise::new(0.0)).iter().all(|&value| value == 1.0));
}

#[test]
fn what_is_drawn_passes_its_own_gradient() {
    // All samples are dropped, so nothing in front of the layer learns; noise passes every gradient.
    let learned = |layer: Named| {
        let mut model = Sequential::new([3]);
        model.add(Dense::new(3)).add(layer);
        let optimizer = SGD { learning_rate: 1.0.into(), ..SGD::default() }.into();
        model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
        let before = model.get_weights().unwrap()[0].values.clone();
        let data = Dataset::from_f32([3], vec![1.0; 12], Labels::values(vec![5.0; 12], 3)).unwrap();
        model.fit(&data, Fit { shuffle: false, ..Fit::default() }).unwrap();
        before != model.get_weights().unwrap()[0].values
    };
    assert!(!learned(StochasticDepth::new(1.0).into()));
    assert!(learned(StochasticDepth::new(0.0).into()));
    assert!(learned(GaussianNoise::new(0.5).into()));
}
