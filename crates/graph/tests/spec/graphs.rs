//! What a graph takes, and what it says otherwise.

use std::sync::Arc;

use kiln_graph::{Graph, Shape};

use crate::ops::{Add, Descend, Double, Swallow, given};

#[test]
fn an_op_that_gives_no_tensor_is_an_error_of_add_and_none_of_add_shared() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 4);
    let error = graph.add(Swallow, &[x]).unwrap_err().to_string();
    assert_eq!(error, "swallow: expected to give at least one tensor, found (f32[4])");
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
