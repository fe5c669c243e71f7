//! Kiln's ops against outputs and gradients that Keras and float64 arithmetic gave: `fixtures/ops.safetensors`.

use std::path::Path;
use std::sync::Arc;

use kiln::graph::{Array, Buffers, Graph, Op, Plan, Tensor, TensorType};
use kiln::ops::{Activation, AvgPool2d, Conv2d, Function, Matmul, MaxPool2d, Padding, Softmax};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::device;
use crate::ops::read;

struct Recorded {
    bytes: Vec<u8>,
}

impl Recorded {
    fn open() -> Recorded {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ops.safetensors");
        Recorded { bytes: std::fs::read(path).unwrap() }
    }

    fn cases(&self) -> Vec<Value> {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).unwrap();
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()["cases"]).unwrap()
    }

    fn get(&self, case: usize, name: &str) -> Option<Array> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(&format!("{case}.{name}")).ok()?;
        Some(Array::from_bytes(TensorType::f32(tensor.shape()), tensor.data()))
    }
}

fn window(case: &Value) -> ([usize; 2], [usize; 2], Padding) {
    let number = |key: &str| case[key].as_u64().unwrap_or(1) as usize;
    let padding = if case["padding"] == "same" { Padding::Same } else { Padding::Valid };
    ([number("pool_size"); 2], [number("strides"); 2], padding)
}

/// The op of a recorded case and the names of its inputs, if Kiln has it as one op.
fn op_of(case: &Value) -> Option<(Arc<dyn Op>, &'static [&'static str])> {
    let (pool_size, strides, padding) = window(case);
    let function = |function| -> Arc<dyn Op> { Arc::new(Activation { function }) };
    Some(match case["op"].as_str()? {
        "conv2d" => (Arc::new(Conv2d { strides, padding, bias: true }), &["x", "kernel", "bias"]),
        "dense" => (Arc::new(Matmul { bias: true, ..Matmul::default() }), &["x", "kernel", "bias"]),
        "max_pool2d" => (Arc::new(MaxPool2d { pool_size, strides, padding }), &["x"]),
        "avg_pool2d" => (Arc::new(AvgPool2d { pool_size, strides, padding }), &["x"]),
        "relu" => (function(Function::Relu), &["x"]),
        "sigmoid" => (function(Function::Sigmoid), &["x"]),
        "tanh" => (function(Function::Tanh), &["x"]),
        "softmax" => (Arc::new(Softmax), &["x"]),
        _ => return None,
    })
}

#[test]
fn outputs_and_gradients_are_those_that_keras_gives() {
    let recorded = Recorded::open();
    let mut checked = 0;
    for (i, case) in recorded.cases().iter().enumerate() {
        let Some((op, names)) = op_of(case) else { continue };
        let values: Vec<Array> = names.iter().map(|name| recorded.get(i, name).unwrap()).collect();
        let dy = recorded.get(i, "dy").unwrap();
        let mut graph = Graph::new();
        let given = |graph: &mut Graph, name: &str, value: &Array| {
            let buffer = graph.buffer(name);
            graph.persistent(value.ty.clone(), buffer, 0)
        };
        let inputs: Vec<Tensor> =
            names.iter().zip(&values).map(|(name, value)| given(&mut graph, name, value)).collect();
        let seed = given(&mut graph, "dy", &dy);
        let y = graph.add_shared(op, &inputs).unwrap()[0];
        let sum: Arc<dyn Op> = Arc::new(kiln::ops::ScaleAdd { a: 1.0, b: 1.0 });
        let found = graph.gradients(y, seed, &inputs, &sum).unwrap();
        let mut kept = vec![("y".to_owned(), y)];
        kept.extend(names.iter().zip(found).map(|(name, gradient)| (format!("d{name}"), gradient.unwrap())));
        for (name, tensor) in &kept {
            let buffer = graph.buffer(name);
            graph.place(*tensor, buffer, 0);
        }
        let device = device().as_dyn();
        let plan = Plan::new(&graph, &device.info().limits).unwrap();
        let mut buffers = Buffers::new(device.clone());
        for (name, value) in names.iter().copied().zip(&values).chain([("dy", &dy)]) {
            let bytes = value.to_bytes();
            buffers.named(name, bytes.len() as u64).unwrap().write(0, &bytes).unwrap();
        }
        let mut program = buffers.program(&plan).unwrap();
        program.run(&[Default::default()], None).unwrap().wait().unwrap();
        for (name, _) in kept {
            let expected = recorded.get(i, &name).unwrap();
            let error = read(&buffers, &name, &expected.ty).relative_error(&expected);
            assert!(error < 1e-5, "case {i} {case}: {name} is off by {error:.1e}");
            checked += 1;
        }
    }
    assert!(checked >= 80, "only {checked} tensors were compared");
}
