//! Valid and invalid operations on a graph.

use std::sync::Arc;

use kiln_graph::{Error, Graph, Limits, Plan, Shape, Tensor, TensorType};

use crate::ops::{Add, Descend, Double, Swallow, Wrong, adding, given, keep};

#[test]
fn an_op_that_gives_no_tensor_is_an_error_of_add_and_none_of_add_shared() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 4);
    let error = graph.add(Swallow, &[x]).unwrap_err().to_string();
    assert_eq!(error, "swallow: expected an op with at least one output, found (f32[4])");
    assert!(graph.add_shared(Arc::new(Swallow), &[x]).unwrap().is_empty());
}

#[test]
fn an_op_names_what_it_was_given() {
    let mut graph = Graph::new();
    let (x, y) = (given(&mut graph, "x", 4), given(&mut graph, "y", 5));
    let error = graph.add(Add, &[x, y]).unwrap_err().to_string();
    assert_eq!(error, "add: expected two tensors of one type, found (f32[4], f32[5])");
    assert!(graph.nodes().is_empty());
}

#[test]
fn an_update_rewrites_tensors_of_the_types_that_the_op_gives() {
    let mut graph = Graph::new();
    let (gradients, parameters, other) =
        (given(&mut graph, "g", 4), given(&mut graph, "p", 4), given(&mut graph, "q", 5));
    graph.update(Arc::new(Descend), &[gradients], &[parameters]).unwrap();
    let error = graph.update(Arc::new(Descend), &[gradients], &[other]).unwrap_err().to_string();
    assert_eq!(error, "descend: expected to rewrite (f32[4]), found (f32[5])");
}

#[test]
fn a_reshape_keeps_the_number_of_elements() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 6);
    let y = graph.add(Double, &[x]).unwrap();
    let square = graph.reshape(y, [2, 3]).unwrap();
    assert_eq!(*graph.shape(square), Shape::from([2, 3]));
    let error = graph.reshape(y, [2, 2]).unwrap_err().to_string();
    assert_eq!(error, "reshape: [6] has 6 elements, [2, 2] has 4");
}

/// A tensor of another graph, with an index that also exists in this graph, and with one that does not.
fn foreign() -> [Tensor; 2] {
    let mut other = Graph::new();
    let first = given(&mut other, "x", 4);
    for index in 0..100 {
        given(&mut other, &index.to_string(), 4);
    }
    [first, given(&mut other, "last", 4)]
}

#[track_caller]
fn assert_not_of_graph<T: std::fmt::Debug>(result: kiln_graph::Result<T>, expected: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::NotOfGraph { .. }), "{error}");
    assert_eq!(error.to_string(), format!("{expected} does not belong to this graph"));
}

#[test]
fn a_tensor_of_another_graph_is_an_error() {
    let mut graph = Graph::new();
    let [x, p] = ["x", "p"].map(|name| given(&mut graph, name, 4));
    let buffer = graph.buffer("x");
    for other in foreign() {
        assert!(graph.owns(x) && !graph.owns(other));
        assert_not_of_graph(graph.add(Add, &[x, other]), "input 1 of add");
        assert_not_of_graph(graph.add_shared(Arc::new(Double), &[other]), "input 0 of double");
        assert_not_of_graph(graph.update(Arc::new(Descend), &[other], &[p]), "input 0 of descend");
        assert_not_of_graph(graph.update(Arc::new(Descend), &[x], &[other]), "output 0 of descend");
        assert_not_of_graph(graph.reshape(other, [2, 2]), "the tensor to reshape");
        assert_not_of_graph(graph.place(other, buffer, 0), "the tensor to place");
    }
    assert!(graph.nodes().is_empty());
}

#[test]
fn gradients_of_or_with_respect_to_a_tensor_of_another_graph_are_an_error() {
    let mut graph = Graph::new();
    let [x, seed] = ["x", "seed"].map(|name| given(&mut graph, name, 4));
    let y = graph.add(Double, &[x]).unwrap();
    for other in foreign() {
        let of = graph.gradients(other, seed, &[x], &adding());
        assert_not_of_graph(of, "the tensor to differentiate");
        assert_not_of_graph(graph.gradients(y, other, &[x], &adding()), "the gradient's seed");
        let with_respect_to = graph.gradients(y, seed, &[x, other], &adding());
        assert_not_of_graph(with_respect_to, "tensor 1 of `with_respect_to`");
    }
    assert_eq!(graph.nodes().len(), 1);
}

#[test]
fn an_op_that_sets_a_gradient_of_another_graph_or_input_is_an_error() {
    let [other, _] = foreign();
    let mut graph = Graph::new();
    let [x, seed] = ["x", "seed"].map(|name| given(&mut graph, name, 4));
    let y = graph.add(Wrong(0, other), &[x]).unwrap();
    let z = graph.add(Wrong(3, seed), &[x]).unwrap();

    assert_not_of_graph(graph.gradients(y, seed, &[x], &adding()), "the gradient with respect to input 0 of wrong");
    let error = graph.gradients(z, seed, &[x], &adding()).unwrap_err().to_string();

    assert_eq!(error, "wrong sets the gradient of its input 3, the node has 1 inputs");
}

#[test]
fn a_buffer_of_another_graph_is_an_error_of_place_and_of_the_plan() {
    let other = Graph::new().buffer("x");
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 4);
    let y = graph.add(Double, &[x]).unwrap();
    assert_not_of_graph(graph.place(y, other, 0), "the buffer of a persistent tensor");

    graph.persistent(TensorType::f32([4]), other, 0);
    assert_not_of_graph(Plan::new(&graph, &Limits::WEBGPU), "the buffer of a persistent tensor");
}

#[test]
fn a_lowering_that_calls_with_a_tensor_of_another_graph_is_an_error_of_the_plan() {
    for other in foreign() {
        let mut graph = Graph::new();
        let x = given(&mut graph, "x", 4);
        let y = graph.add(Wrong(0, other), &[x]).unwrap();
        keep(&mut graph, y, "y");

        let error = Plan::new(&graph, &Limits::WEBGPU).unwrap_err();

        assert!(matches!(error, Error::Lowering { .. }) && error.to_string().contains("not a tensor of this graph"));
    }
}

#[test]
#[should_panic(expected = "not of this graph")]
fn the_type_of_a_tensor_of_another_graph_does_not_exist() {
    let [other, _] = foreign();
    let mut graph = Graph::new();
    given(&mut graph, "x", 4);
    graph.ty(other);
}
