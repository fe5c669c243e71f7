//! Every op's kernels against its f64 reference, and its gradient against finite differences.

use kiln::graph::{Array, DType, Tensor, TensorType};
use kiln::ops::{Activation, Case, Function, ScaleAdd, Sum, cases, gradients};

use crate::bench::{Bench, read};

/// What the device makes of a case.
fn on_device(case: &Case) -> Vec<Array> {
    let mut bench = Bench::new();
    let inputs: Vec<Tensor> = case.inputs.iter().map(|input| bench.given(input)).collect();
    let rewritten: Vec<Tensor> = case.rewritten.iter().map(|old| bench.given(old)).collect();
    if !rewritten.is_empty() {
        bench.graph.update(case.op.clone(), &inputs, &rewritten).unwrap();
        let buffers = bench.run(case.step);
        let names = bench.values[inputs.len()..].iter();
        return names.map(|(name, old, _)| read(&buffers, name, &old.ty)).collect();
    }
    let outputs = bench.graph.add_shared(case.op.clone(), &inputs).unwrap();
    for (i, &output) in outputs.iter().enumerate() {
        bench.keep(output, &format!("output {i}"));
    }
    let buffers = bench.run(case.step);
    let types = outputs.iter().map(|&output| bench.graph.ty(output).clone());
    types.enumerate().map(|(i, ty)| read(&buffers, &format!("output {i}"), &ty)).collect()
}

#[test]
fn every_op_computes_what_its_reference_does() {
    let cases = cases();
    assert!(cases.len() > 150, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let taken: Vec<&Array> = case.inputs.iter().chain(&case.rewritten).collect();
        let expected = case.op.reference(&taken, &case.step);
        let found = on_device(case);
        assert_eq!(found.len(), expected.len(), "{}", case.name);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found.ty, expected.ty, "{}", case.name);
            let error = found.relative_error(expected);
            if error > 1e-5 {
                wrong.push(format!("{} output {i}: {error:.1e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_gradient_in_the_middle_of_a_graph_is_that_of_finite_differences() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.inputs.iter().all(|input| input.data.len() < 700)) {
        for &input in &case.differentiable {
            let error = gradient_error(case, input);
            if error > 1e-3 {
                wrong.push(format!("{} input {input}: {error:.1e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A loss with the case's op in its middle: `1.7 sum of tanh(0.2 op(…, 0.8 x, …))`. The scale keeps tanh from saturating.
fn loss(case: &Case, inputs: &[Array], input: usize) -> (Bench, Tensor, Tensor) {
    let mut bench = Bench::new();
    let mut taken: Vec<Tensor> = inputs.iter().map(|value| bench.given(value)).collect();
    let x = taken[input];
    taken[input] = bench.graph.add(ScaleAdd { a: 0.7, b: 0.1 }, &[x, x]).unwrap();
    let y = bench.graph.add_shared(case.op.clone(), &taken).unwrap()[0];
    let small = bench.graph.add(ScaleAdd { a: 0.1, b: 0.1 }, &[y, y]).unwrap();
    let squashed = bench.graph.add(Activation { function: Function::Tanh }, &[small]).unwrap();
    let loss = bench.graph.add(Sum { scale: 1.7 }, &[squashed]).unwrap();
    (bench, x, loss)
}

/// The device's gradient against central differences of the f64 reference, at up to 24 places.
fn gradient_error(case: &Case, input: usize) -> f64 {
    let (mut bench, x, at) = loss(case, &case.inputs, input);
    let dx = gradients(&mut bench.graph, at, &[x]).unwrap()[0].unwrap();
    bench.keep(dx, "dx");
    let buffers = bench.run(case.step);
    let found = read(&buffers, "dx", &TensorType::new(case.inputs[input].shape().clone(), DType::F32));
    let value = |inputs: &[Array]| {
        let (bench, _, at) = loss(case, inputs, input);
        bench.interpret(&case.step).get(&bench.graph, at).data[0]
    };
    let count = found.data.len();
    let places: Vec<usize> = (0..count).step_by(count.div_ceil(24)).collect();
    let differences = places.iter().map(|&place| {
        let [up, down] = [1e-5, -1e-5].map(|change| {
            let mut inputs = case.inputs.clone();
            inputs[input].data[place] += change;
            value(&inputs)
        });
        (up - down) / 2e-5
    });
    let expected = Array::f32([places.len()], differences.collect());
    Array::f32([places.len()], places.iter().map(|&place| found.data[place]).collect()).relative_error(&expected)
}
