//! Losses, metrics and weights compared with Keras: `fixtures/losses.safetensors`, written by `peers/losses.py`. A
//! model of one layer is trained for one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln::data::{Dataset, Labels};
use kiln::graph::Limits;
use kiln::layers::{Activation, Conv2D, Dense};
use kiln::losses::{self, BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanSquaredError};
use kiln::metrics::{self, Accuracy, MeanAbsoluteError, Metric, OutputMetric, TopKCategoricalAccuracy};
use kiln::optimizers::SGD;
use kiln::{Compile, Error, Fit, History, Model, Sequential, Weight};
use serde_json::Value;

use crate::common::{bars, close, device, model};
use crate::recorded::Recorded;
use kiln_bench::Recorder;

fn floats(recorded: &Recorded, case: usize, name: &str) -> Option<Vec<f32>> {
    recorded.get(case, name).map(|array| array.data.into_iter().map(|value| value as f32).collect())
}

/// The compiled model of a case.
fn model_of(recorded: &Recorded, i: usize, case: &Value) -> Model {
    let outputs = case["outputs"].as_u64().unwrap() as usize;
    let activation: Activation = case["activation"].as_str().unwrap().parse().unwrap();
    let mut model = Sequential::new([4]);
    model.add(Dense::new(outputs).activation(activation));
    let weight = |name: &str, shape: &[usize]| Weight {
        name: format!("dense/{name}"),
        shape: shape.into(),
        values: floats(recorded, i, name).unwrap(),
    };
    model.set_weights(&[weight("kernel", &[4, outputs]), weight("bias", &[outputs])]).unwrap();
    let metric = |name: &Value| -> Arc<dyn Metric> {
        match name.as_str().unwrap() {
            "top_k_categorical_accuracy" => TopKCategoricalAccuracy { k: 2 }.into(),
            name => metrics::from_name(name).unwrap(),
        }
    };
    let mut loss = losses::from_name(case["loss"].as_str().unwrap()).unwrap().config();
    let arguments = ["from_logits", "label_smoothing"].map(|name| (name.to_owned(), case[name].clone()));
    loss.extend(arguments.into_iter().filter(|(_, value)| ![Value::Null, false.into(), 0.0.into()].contains(value)));
    let compile = Compile {
        optimizer: SGD { learning_rate: 1.0.into(), ..SGD::default() }.into(),
        loss: losses::from_config(case["loss"].as_str().unwrap(), &loss).unwrap().into(),
        metrics: case["metrics"].as_array().unwrap().iter().map(metric).map(OutputMetric::from).collect(),
        ..Compile::default()
    };
    model.compile(device(), compile).unwrap();
    model
}

fn data_of(recorded: &Recorded, i: usize, case: &Value) -> Dataset {
    let outputs = case["outputs"].as_u64().unwrap() as usize;
    let y = recorded.get(i, "y").unwrap().data;
    let labels = match case["labels"] == "classes" {
        true => Labels::index(y.into_iter().map(|class| class as u32).collect(), outputs),
        false => Labels::values(y.into_iter().map(|value| value as f32).collect(), outputs),
    };
    let data = Dataset::from_f32([4], floats(recorded, i, "x").unwrap(), labels).unwrap();
    match floats(recorded, i, "sample_weight") {
        Some(weights) => data.with_sample_weights(weights).unwrap(),
        None => data,
    }
}

#[test]
fn a_steps_figures_and_weights_are_those_of_keras() {
    let recorded = Recorded::open("losses");
    let cases = recorded.cases();
    assert_eq!(cases.len(), 19);
    for (i, case) in cases.iter().enumerate() {
        let mut model = model_of(&recorded, i, case);
        let class_weight = case["class_weight"].as_array().map(|pairs| {
            let pair = |pair: &Value| (pair[0].as_u64().unwrap() as usize, pair[1].as_f64().unwrap() as f32);
            pairs.iter().map(pair).collect::<BTreeMap<usize, f32>>()
        });
        let fit = Fit { shuffle: false, class_weight, ..Fit::default() };
        let logs = model.fit(&data_of(&recorded, i, case), fit).unwrap().epochs.remove(0);
        let expected = case["figures"].as_object().unwrap();
        assert_eq!(logs.figures().len(), expected.len(), "{case}: {logs:?}");
        for (name, expected) in expected {
            let (found, expected) = (logs.get(name).unwrap(), expected.as_f64().unwrap());
            assert!(close(found, expected, 1e-5), "{i} {case}: {name} is {found}, expected {expected}");
        }
        for (Weight { name, values, .. }, expected) in model.get_weights().unwrap().iter().zip(["kernel", "bias"]) {
            let expected = floats(&recorded, i, &format!("{expected}_after")).unwrap();
            let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            let error = values.iter().zip(&expected).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f32::max);
            assert!(error < 1e-5, "{i} {case}: {name} is off by {error:.1e}");
        }
    }
}

/// The history of a model trained on `sin` at 200 points.
fn learn_sine(loss: Arc<dyn Loss>, metrics: Vec<Arc<dyn Metric>>) -> History {
    let x: Vec<f32> = (0..200).map(|i| i as f32 / 33.0 - 3.0).collect();
    let labels = Labels::values(x.iter().map(|x| x.sin()).collect(), 1);
    let data = Dataset::from_f32([1], x, labels).unwrap();
    let mut model = Sequential::new([1]);
    model.add(Dense::new(16).activation(Activation::Tanh)).add(Dense::new(1));
    let optimizer = kiln::optimizers::Adam { learning_rate: 0.02.into(), ..Default::default() }.into();
    let metrics = metrics.into_iter().map(OutputMetric::from).collect();
    model.compile(device(), Compile { optimizer, loss: loss.into(), metrics, ..Compile::default() }).unwrap();
    model.fit(&data, Fit { epochs: 60, validation_split: 0.1, ..Fit::default() }).unwrap()
}

#[test]
fn quantities_are_learned_and_have_no_accuracy() {
    let history = learn_sine(MeanSquaredError.into(), vec![Accuracy.into(), MeanAbsoluteError.into()]);
    let last = history.epochs.last().unwrap();
    let names: Vec<&str> = last.figures().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"]);
    assert!(last.loss < 0.02 && last.accuracy().is_none(), "{last:?}");
    let head = history.to_csv().lines().next().unwrap().to_owned();
    assert_eq!(head, format!("epoch,{},seconds,images_per_second", names.join(",")));
}

#[test]
fn five_metrics_are_more_than_one_call_records() {
    let metrics = vec![
        Accuracy.into(),
        metrics::MeanSquaredError.into(),
        TopKCategoricalAccuracy { k: 1 }.into(),
        MeanAbsoluteError.into(),
        TopKCategoricalAccuracy { k: 3 }.into(),
    ];
    let mut model = model();
    model.compile(device(), Compile { metrics, ..Compile::default() }).unwrap();
    let score = model.evaluate(&bars(131)).unwrap();
    let names: Vec<&str> = score.figures().into_iter().map(|(name, _)| name).collect();
    let expected = ["loss", "accuracy", "mean_squared_error", "top_k_categorical_accuracy", "mean_absolute_error"];
    assert_eq!(names, [&expected[..], &["top_k_categorical_accuracy_1"]].concat());
    assert_eq!(score.get("top_k_categorical_accuracy"), score.accuracy());
    assert_eq!(score.get("top_k_categorical_accuracy_1"), Some(1.0), "of three classes");
    assert!(score.get("mean_absolute_error").unwrap() > score.get("mean_squared_error").unwrap());
}

#[test]
fn images_are_compared_value_by_value() {
    let pixels: Vec<f32> = (0..3 * 36).map(|i| (i % 7) as f32 / 7.0).collect();
    let data = Dataset::from_f32([6, 6, 1], pixels.clone(), Labels::values(pixels.clone(), 36)).unwrap();
    let mut model = Sequential::new([6, 6, 1]);
    model.add(Conv2D::new(1, [1, 1]));
    model.compile(device(), Compile { loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
    let found = model.predict(&data).unwrap().values;
    let expected =
        found.iter().zip(&pixels).map(|(y, t)| f64::from((y - t) * (y - t))).sum::<f64>() / pixels.len() as f64;
    let score = model.evaluate(&data).unwrap();
    assert!(close(score.loss, expected, 1e-5) && score.metrics.is_empty(), "{score:?} {expected}");
}

#[test]
fn labels_0_and_1_are_bits_of_a_single_output() {
    let x: Vec<f32> = (0..60).map(|i| (i % 2) as f32 * 2.0 - 1.0 + (i % 7) as f32 / 10.0).collect();
    let by_index = Labels::index((0..60).map(|i| i % 2).collect(), 2);
    let by_value = Labels::values((0..60).map(|i| (i % 2) as f32).collect(), 1);
    let train = |labels: Labels| {
        let mut model = Sequential::new([1]);
        model.add(Dense::new(1).activation(Activation::Sigmoid));
        model.compile(device(), Compile { loss: BinaryCrossentropy::default().into(), ..Compile::default() }).unwrap();
        let data = Dataset::from_f32([1], x.clone(), labels).unwrap();
        model.fit(&data, Fit { epochs: 3, ..Fit::default() }).unwrap().epochs.pop().unwrap()
    };
    let (first, second) = (train(by_index), train(by_value));
    assert_eq!(first.batch_losses, second.batch_losses);
    assert_eq!(first.metrics, second.metrics);
}

#[test]
fn nothing_is_added_where_nothing_is_asked_for() {
    let kernels = |compile: Compile, data: &Dataset| {
        let (recorder, device) = Recorder::device(Limits::WEBGPU);
        let mut model = model();
        model.compile(&device, compile).unwrap();
        model.fit(data, Fit::default()).unwrap();
        recorder.plans()[0].calls.iter().map(|call| call.kernel.name).collect::<Vec<_>>()
    };
    let data = bars(32);
    let plain = kernels(Compile::default(), &data);
    assert_eq!(plain.iter().filter(|name| name.starts_with("record")).count(), 1);
    let added = |more: Vec<&'static str>| -> Vec<&'static str> {
        more.into_iter().filter(|name| !plain.contains(name)).collect()
    };
    let weighted = data.clone().with_sample_weights(vec![1.0; 32]).unwrap();
    assert_eq!(
        added(kernels(Compile::default(), &weighted)),
        ["gather.floats", "multiply_quads.forward", "multiply_quads.forward"]
    );
    let loss = CategoricalCrossentropy { label_smoothing: 0.1, ..Default::default() }.into();
    let smoothed = kernels(Compile { loss, ..Compile::default() }, &data);
    assert_eq!(added(smoothed), ["soft_targets.forward"]);
    let clipped = kernels(Compile { clipvalue: Some(1.0), ..Compile::default() }, &data);
    assert_eq!(added(clipped), ["clip_by_value.update"]);
}

#[test]
fn what_does_not_fit_a_loss_or_a_metric_says_why() {
    let compile = |compile: Compile| model().compile(device(), compile).unwrap_err().to_string();
    for loss in [
        CategoricalCrossentropy { label_smoothing: 1.0, ..Default::default() }.into(),
        BinaryCrossentropy { label_smoothing: 1.0, ..Default::default() }.into(),
    ] {
        let error = compile(Compile { loss, ..Compile::default() });
        assert_eq!(error, "label_smoothing: expected 0 or more and less than 1, found 1");
    }
    let error = compile(Compile { metrics: vec![TopKCategoricalAccuracy { k: 4 }.into()], ..Compile::default() });
    assert_eq!(error, "metrics: expected top_k_categorical_accuracy with k from 1 to 3, found 4");
    let metrics = vec![TopKCategoricalAccuracy { k: 1 }.into()];
    let error = compile(Compile { loss: MeanSquaredError.into(), metrics, ..Compile::default() });
    assert!(
        error.contains("a classification loss for top_k_categorical_accuracy, found mean_squared_error"),
        "{error}"
    );

    let mut single = Sequential::new([1]);
    single.add(Dense::new(1).activation(Activation::Sigmoid));
    let (loss, metrics) = (BinaryCrossentropy::default().into(), vec![TopKCategoricalAccuracy { k: 1 }.into()]);
    let error = single.compile(device(), Compile { loss, metrics, ..Compile::default() }).unwrap_err().to_string();
    assert_eq!(error, "metrics: expected more than one output for top_k_categorical_accuracy, found [1]");

    let mut model = model();
    model.compile(device(), Compile { loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
    let Err(Error::Misfit { expected, found, .. }) = model.evaluate(&bars(3)) else { panic!() };
    assert_eq!(expected, "3 values per label (loss mean_squared_error)");
    assert_eq!(found, "class indices");
}
