//! The gradient's reference is correct, and a model with the layer learns.

#![allow(clippy::unwrap_used)]

use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, Interpreter, Step};
use kiln::layers::{Activation, Dense};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::Adam;
use kiln::{Compile, Device, Fit, Sequential};

use crate::graph;
use crate::mish::Mish;

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let values = |change: f64| Array::f32([9], (-4..5).map(|i| f64::from(i) + change).collect());
    let (graph, [x, y, dx]) = graph(&values(0.0)).unwrap();
    let run = |change: f64, tensor| {
        let mut interpreter = Interpreter::new();
        interpreter.set(x, values(change));
        interpreter.run(&graph, &Step::default());
        interpreter.get(&graph, tensor)
    };

    let (up, down) = (run(1e-5, y).data, run(-1e-5, y).data);
    let differences = up.iter().zip(&down).map(|(up, down)| (up - down) / 2e-5).collect();

    assert!(run(0.0, dx).relative_error(&Array::f32([9], differences)) < 1e-8);
}

#[test]
fn a_model_with_the_layer_learns_which_numbers_are_far_from_zero() {
    let values: Vec<f32> = (0..257).map(|i| i as f32 / 128.0 - 1.0).collect();
    let classes = values.iter().map(|x| u32::from(x.abs() > 0.5)).collect();
    let data = Dataset::from_f32([1], values, Labels::index(classes, 2)).unwrap();
    let mut model = Sequential::new([1]);
    model.add(Dense::new(8)).add(Mish).add(Dense::new(2).activation(Activation::Softmax));
    let (optimizer, loss) = (
        Adam { learning_rate: 0.05.into(), ..Adam::default() }.into(),
        SparseCategoricalCrossentropy::default().into(),
    );
    model.compile(&Device::best().unwrap(), Compile { optimizer, loss, ..Compile::default() }).unwrap();

    model.fit(&data, Fit { epochs: 60, ..Fit::default() }).unwrap();

    assert!(model.evaluate(&data).unwrap().accuracy() > Some(0.95));
}
