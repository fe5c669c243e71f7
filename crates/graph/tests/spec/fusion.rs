//! The nodes fused by a plan.

use std::sync::Arc;

use kiln_graph::{Graph, Limits, Plan, Precision, Tensor};

use crate::ops::{Add, Descend, Double, Triple, given, keep};

fn kernels(graph: &Graph) -> Vec<&'static str> {
    Plan::new(graph, &Limits::WEBGPU).unwrap().calls.iter().map(|call| call.kernel.name).collect()
}

/// `3 x + y`, with the tensors `x`, `y`, `3 x` and the sum.
fn sum(graph: &mut Graph) -> [Tensor; 4] {
    let [x, y] = ["x", "y"].map(|name| given(graph, name, 100));
    let tripled = graph.add(Triple, &[x]).unwrap();
    let sum = graph.add(Add, &[y, tripled]).unwrap();
    keep(graph, sum, "sum");
    [x, y, tripled, sum]
}

#[test]
fn an_op_takes_over_the_next_one_with_its_other_inputs_behind_its_own() {
    let mut graph = Graph::new();
    graph.scope("first");
    sum(&mut graph);
    let plan = Plan::new(&graph, &Limits::WEBGPU).unwrap();
    let [call] = &plan.calls[..] else { panic!("{plan}") };
    assert_eq!((call.kernel.name, call.scope.as_str()), ("triple_add.forward", "first"));
    let names: Vec<_> = call.arguments.iter().map(|argument| plan.buffers[argument.buffer].name.as_deref()).collect();
    assert_eq!(names, [Some("x"), Some("y"), Some("sum")]);
    assert_eq!(plan.slot_bytes(), 0, "what lies between is nowhere");
}

#[test]
fn nodes_of_different_precision_are_not_fused() {
    let mut graph = Graph::new();
    let [x, y] = ["x", "y"].map(|name| given(&mut graph, name, 100));
    let tripled = graph.add(Triple, &[x]).unwrap();
    graph.set_precision(Precision::Mixed);
    let sum = graph.add(Add, &[y, tripled]).unwrap();
    keep(&mut graph, sum, "sum");
    let plan = Plan::new(&graph, &Limits::WEBGPU).unwrap();
    let kernels: Vec<_> = plan.calls.iter().map(|call| call.kernel.name).collect();
    assert_eq!(kernels, ["triple.forward", "add.forward"]);
}

#[test]
fn what_someone_else_takes_or_keeps_is_computed_apart() {
    let apart = ["triple.forward", "add.forward"];
    let mut graph = Graph::new();
    let [.., tripled, _] = sum(&mut graph);
    keep(&mut graph, tripled, "tripled");
    assert_eq!(kernels(&graph), apart);

    let mut graph = Graph::new();
    let [.., tripled, _] = sum(&mut graph);
    let view = graph.reshape(tripled, [10, 10]).unwrap();
    let doubled = graph.add(Double, &[view]).unwrap();
    keep(&mut graph, doubled, "doubled");
    assert_eq!(kernels(&graph), [&apart[..], &["double.forward"]].concat());

    // Twice by the same node.
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 100);
    let tripled = graph.add(Triple, &[x]).unwrap();
    let sum = graph.add(Add, &[tripled, tripled]).unwrap();
    keep(&mut graph, sum, "sum");
    assert_eq!(kernels(&graph), apart);
}

#[test]
fn what_nobody_needs_does_not_keep_two_nodes_apart() {
    let mut graph = Graph::new();
    let [.., tripled, _] = sum(&mut graph);
    graph.add(Double, &[tripled]).unwrap();
    assert_eq!(kernels(&graph), ["triple_add.forward"]);
}

#[test]
fn an_op_does_not_move_behind_a_node_that_rewrites_what_it_takes() {
    let between = |rewritten: &str| {
        let mut graph = Graph::new();
        let [x, y, gradient] = ["x", "y", "gradient"].map(|name| given(&mut graph, name, 100));
        let other = given(&mut graph, "other", 100);
        let tripled = graph.add(Triple, &[x]).unwrap();
        let target = if rewritten == "x" { x } else { other };
        graph.update(Arc::new(Descend), &[gradient], &[target]).unwrap();
        let sum = graph.add(Add, &[tripled, y]).unwrap();
        keep(&mut graph, sum, "sum");
        kernels(&graph)
    };
    assert_eq!(between("x"), ["triple.forward", "descend.update", "add.forward"]);
    assert_eq!(between("other"), ["descend.update", "triple_add.forward"]);
}
