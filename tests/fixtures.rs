//! Ops against outputs and gradients computed by Keras and in float64: `fixtures/ops.safetensors`.

use std::sync::Arc;

use kiln::graph::{Array, Op, Step, Tensor};
use kiln::ops::{
    Activation, AvgPool2d, BatchNorm, BatchNormInference, Conv2d, Function, GlobalAvgPool2d, Matmul, MaxPool2d,
    MovingAverage, Padding, Softmax, SoftmaxCrossEntropy, Sum, gradients,
};
use serde_json::Value;

use crate::bench::{Bench, read};
use crate::recorded::Recorded;

/// The tolerance, relative to the largest recorded value.
const TOLERANCE: f64 = 1e-5;

/// Runs a case's graph and compares these tensors with the recorded ones.
fn compare(recorded: &Recorded, case: usize, mut bench: Bench, kept: &[(String, Tensor)]) {
    for (name, tensor) in kept {
        if bench.buffer_of(*tensor).is_none() {
            bench.keep(*tensor, name);
        }
    }
    let buffers = bench.run(Step::default());
    for (name, tensor) in kept {
        let expected = recorded.get(case, name).unwrap();
        let buffer = bench.buffer_of(*tensor).unwrap_or(name);
        let error = read(&buffers, buffer, &expected.ty).relative_error(&expected);
        assert!(error < TOLERANCE, "case {case}: {name} is off by {error:.1e}");
    }
}

fn window(case: &Value) -> ([usize; 2], [usize; 2], Padding) {
    let number = |key: &str| case[key].as_u64().unwrap_or(1) as usize;
    let padding = if case["padding"] == "same" { Padding::Same } else { Padding::Valid };
    ([number("pool_size"); 2], [number("strides"); 2], padding)
}

/// The op of a recorded case and the names of its inputs, if it is a single op.
fn op_of(case: &Value) -> Option<(Arc<dyn Op>, &'static [&'static str])> {
    let (pool_size, strides, padding) = window(case);
    let function = |function| -> Arc<dyn Op> { Arc::new(Activation { function }) };
    Some(match case["op"].as_str()? {
        "conv2d" => (Arc::new(Conv2d { strides, padding: padding.into(), bias: true }), &["x", "kernel", "bias"]),
        "dense" => (Arc::new(Matmul { bias: true, ..Matmul::default() }), &["x", "kernel", "bias"]),
        "max_pool2d" => (Arc::new(MaxPool2d { pool_size, strides, padding }), &["x"]),
        "avg_pool2d" => (Arc::new(AvgPool2d { pool_size, strides, padding }), &["x"]),
        "global_avg_pool2d" => (Arc::new(GlobalAvgPool2d), &["x"]),
        "relu" => (function(Function::Relu), &["x"]),
        "sigmoid" => (function(Function::Sigmoid), &["x"]),
        "tanh" => (function(Function::Tanh), &["x"]),
        "softmax" => (Arc::new(Softmax), &["x"]),
        _ => return None,
    })
}

#[test]
fn outputs_and_gradients_are_those_that_keras_gives() {
    let recorded = Recorded::open("ops");
    let mut checked = 0;
    for (i, case) in recorded.cases().iter().enumerate() {
        let Some((op, names)) = op_of(case) else { continue };
        let mut bench = Bench::new();
        let inputs: Vec<Tensor> = names.iter().map(|name| bench.given(&recorded.get(i, name).unwrap())).collect();
        let seed = bench.given(&recorded.get(i, "dy").unwrap());
        let y = bench.graph.add_shared(op, &inputs).unwrap()[0];
        let sum: Arc<dyn Op> = Arc::new(kiln::ops::ScaleAdd { a: 1.0, b: 1.0 });
        let found = bench.graph.gradients(y, seed, &inputs, &sum).unwrap();
        let mut kept = vec![("y".to_owned(), y)];
        kept.extend(names.iter().zip(found).map(|(name, gradient)| (format!("d{name}"), gradient.unwrap())));
        compare(&recorded, i, bench, &kept);
        checked += kept.len();
    }
    assert!(checked >= 80, "only {checked} tensors were compared");
}

#[test]
fn batch_normalization_and_its_moving_statistics_are_those_of_keras() {
    let recorded = Recorded::open("ops");
    let mut checked = 0;
    for (i, case) in recorded.cases().iter().enumerate().filter(|(_, case)| case["op"] == "batch_norm") {
        let mut bench = Bench::new();
        let mut given = |name: &str| recorded.get(i, name).map(|value| bench.given(&value));
        let [x, gamma, beta, dy] = ["x", "gamma", "beta", "dy"].map(|name| given(name).unwrap());
        let statistics = ["moving_mean", "moving_variance"].map(&mut given);
        let (scale, center, epsilon) = (true, true, case["epsilon"].as_f64().unwrap() as f32);
        let mut kept = Vec::new();
        let y = if let [Some(mean), Some(variance)] = statistics {
            let op = BatchNormInference { epsilon, scale, center };
            bench.graph.add(op, &[x, mean, variance, gamma, beta]).unwrap()
        } else {
            let op = Arc::new(BatchNorm { epsilon, scale, center });
            let outputs = bench.graph.add_shared(op, &[x, gamma, beta]).unwrap();
            let channels = bench.graph.shape(gamma)[0];
            let names = ["new_moving_mean", "new_moving_variance"];
            for ((name, first), &batch) in names.into_iter().zip([0.0, 1.0]).zip(&outputs[1..]) {
                let moving = bench.given(&Array::f32([channels], vec![first; channels]));
                let op = Arc::new(MovingAverage { momentum: case["momentum"].as_f64().unwrap() });
                bench.graph.update(op, &[batch], &[moving]).unwrap();
                kept.push((name.to_owned(), moving));
            }
            outputs[0]
        };
        let sum: Arc<dyn Op> = Arc::new(kiln::ops::ScaleAdd { a: 1.0, b: 1.0 });
        let found = bench.graph.gradients(y, dy, &[x, gamma, beta], &sum).unwrap();
        kept.push(("y".to_owned(), y));
        let names = ["dx", "dgamma", "dbeta"].map(str::to_owned);
        kept.extend(names.into_iter().zip(found).map(|(name, gradient)| (name, gradient.unwrap())));
        checked += kept.len();
        compare(&recorded, i, bench, &kept);
    }
    assert_eq!(checked, 3 * 6 + 3 * 4);
}

#[test]
fn losses_and_their_gradients_are_those_that_keras_gives() {
    let recorded = Recorded::open("ops");
    let mut checked = 0;
    for (i, _) in recorded.cases().iter().enumerate().filter(|(_, case)| case["op"] == "softmax_cross_entropy") {
        let mut bench = Bench::new();
        let [logits, labels] = ["logits", "labels"].map(|name| bench.given(&recorded.get(i, name).unwrap()));
        let losses = bench.graph.add_shared(Arc::new(SoftmaxCrossEntropy), &[logits, labels]).unwrap()[0];
        let mean = Sum { scale: 1.0 / bench.graph.shape(losses)[0] as f32 };
        let loss = bench.graph.add(mean, &[losses]).unwrap();
        let gradient = gradients(&mut bench.graph, loss, &[logits]).unwrap()[0].unwrap();
        let probabilities = bench.graph.add(Softmax, &[logits]).unwrap();
        let kept = [("per_example", losses), ("loss", loss), ("dlogits", gradient), ("probabilities", probabilities)];
        let kept = kept.map(|(name, tensor)| (name.to_owned(), tensor));
        compare(&recorded, i, bench, &kept);
        checked += 1;
    }
    assert_eq!(checked, 4);
}
