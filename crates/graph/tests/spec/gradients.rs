//! The nodes appended by reverse-mode differentiation, and their values.

use kiln_graph::{Array, Graph, Interpreter, Precision, Step, Tensor};

use crate::ops::{Double, Multiply, Sum, adding, given};

/// The names of the ops appended after the first `before` nodes.
fn appended(graph: &Graph, before: usize) -> Vec<&'static str> {
    graph.nodes()[before..].iter().map(|node| node.op.name()).collect()
}

/// The value of a tensor, given the values of persistent tensors.
fn value(graph: &Graph, given: &[(Tensor, f64)], of: Tensor) -> f64 {
    let mut interpreter = Interpreter::new();
    for &(tensor, value) in given {
        interpreter.set(tensor, Array::f32([1], vec![value]));
    }
    interpreter.run(graph, &Step::default());
    interpreter.get(graph, of).data[0]
}

#[test]
fn nothing_is_computed_below_the_first_tensor_that_is_asked_for() {
    let mut graph = Graph::new();
    let [x, w1, w2, seed] = ["x", "w1", "w2", "seed"].map(|name| given(&mut graph, name, 1));
    let first = graph.add(Multiply, &[x, w1]).unwrap();
    let middle = graph.add(Double, &[first]).unwrap();
    let last = graph.add(Multiply, &[middle, w2]).unwrap();
    let found = graph.gradients(last, seed, &[w2], &adding()).unwrap();
    assert_eq!(appended(&graph, 3), ["multiply"]);
    assert_eq!(value(&graph, &[(x, 3.0), (w1, 5.0), (w2, 7.0), (seed, 1.0)], found[0].unwrap()), 30.0);
}

#[test]
fn data_get_no_gradient() {
    let mut graph = Graph::new();
    let [x, w1, w2, seed] = ["x", "w1", "w2", "seed"].map(|name| given(&mut graph, name, 1));
    let first = graph.add(Multiply, &[x, w1]).unwrap();
    let last = graph.add(Multiply, &[first, w2]).unwrap();
    let found = graph.gradients(last, seed, &[w1, w2], &adding()).unwrap();
    // dw2 and dfirst of the last, dw1 of the first; no dx.
    assert_eq!(appended(&graph, 2), ["multiply"; 3]);
    let values = [(x, 3.0), (w1, 5.0), (w2, 7.0), (seed, 1.0)];
    assert_eq!([0, 1].map(|w| value(&graph, &values, found[w].unwrap())), [21.0, 15.0]);
}

#[test]
fn a_gradient_has_the_precision_of_its_node_and_later_nodes_keep_theirs() {
    let mut graph = Graph::new();
    let [x, w1, w2, seed] = ["x", "w1", "w2", "seed"].map(|name| given(&mut graph, name, 1));
    graph.set_precision(Precision::Mixed);
    let first = graph.add(Multiply, &[x, w1]).unwrap();
    graph.set_precision(Precision::Float32);
    let last = graph.add(Multiply, &[first, w2]).unwrap();
    graph.gradients(last, seed, &[w1, w2], &adding()).unwrap();
    let precisions: Vec<_> = graph.nodes()[2..].iter().map(|node| node.precision).collect();
    // Two gradients of the last, then one of the first.
    assert_eq!(precisions, [Precision::Float32, Precision::Float32, Precision::Mixed]);
    assert_eq!(graph.precision(), Precision::Float32);
}

#[test]
fn gradients_of_a_tensor_that_is_used_twice_are_added() {
    let mut graph = Graph::new();
    let [x, seed] = ["x", "seed"].map(|name| given(&mut graph, name, 1));
    let doubled = graph.add(Double, &[x]).unwrap();
    let y = graph.add(Multiply, &[x, doubled]).unwrap();
    let dx = graph.gradients(y, seed, &[x], &adding()).unwrap()[0].unwrap();
    assert_eq!(appended(&graph, 2), ["multiply", "multiply", "double", "add"]);
    assert_eq!(value(&graph, &[(x, 3.0), (seed, 1.0)], dx), 12.0);
}

#[test]
fn gradients_of_a_tensor_that_one_node_takes_twice_are_added() {
    let mut graph = Graph::new();
    let [x, seed] = ["x", "seed"].map(|name| given(&mut graph, name, 1));
    let y = graph.add(Multiply, &[x, x]).unwrap();
    let dx = graph.gradients(y, seed, &[x], &adding()).unwrap()[0].unwrap();
    assert_eq!(value(&graph, &[(x, 3.0), (seed, 1.0)], dx), 6.0);
}

#[test]
fn gradients_pass_reshapes() {
    let mut graph = Graph::new();
    let [x, w, seed] = ["x", "w", "seed"].map(|name| given(&mut graph, name, 1));
    let doubled = graph.add(Double, &[x]).unwrap();
    let square = graph.reshape(doubled, [1, 1]).unwrap();
    let flat = graph.reshape(square, [1]).unwrap();
    let y = graph.add(Multiply, &[flat, w]).unwrap();
    let dx = graph.gradients(y, seed, &[x], &adding()).unwrap()[0].unwrap();
    assert_eq!(graph.shape(dx), graph.shape(x));
    assert_eq!(value(&graph, &[(x, 3.0), (w, 5.0), (seed, 1.0)], dx), 10.0);
}

#[test]
fn a_tensor_that_the_loss_does_not_depend_on_has_no_gradient() {
    let mut graph = Graph::new();
    let [x, other, seed] = ["x", "other", "seed"].map(|name| given(&mut graph, name, 1));
    let y = graph.add(Double, &[x]).unwrap();
    graph.add(Double, &[other]).unwrap();
    let found = graph.gradients(y, seed, &[x, other], &adding()).unwrap();
    assert!(found[0].is_some() && found[1].is_none());
    assert_eq!(appended(&graph, 2), ["double"]);
}

#[test]
fn an_op_without_gradient_is_an_error_only_where_one_is_needed() {
    let mut graph = Graph::new();
    let [x, w, seed] = ["x", "w", "seed"].map(|name| given(&mut graph, name, 1));
    let sum = graph.add(Sum, &[x]).unwrap();
    let y = graph.add(Multiply, &[sum, w]).unwrap();
    assert!(graph.gradients(y, seed, &[w], &adding()).is_ok());
    let error = graph.gradients(y, seed, &[x], &adding()).unwrap_err().to_string();
    assert!(error.starts_with("sum has no gradient with respect to its input 0;"), "{error}");
}
