//! The gradient, which is written from the formula like the kernels, against finite differences of the op's reference.

use kiln::graph::{Array, Interpreter, Step};

use crate::graph;

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
