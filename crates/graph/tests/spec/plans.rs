//! The calls of a plan, and their buffers.

use std::path::Path;
use std::sync::Arc;

use kiln_graph::{Error, Graph, Limits, Plan, PlannedCall, READ_PAST, Tensor, TensorType};

use crate::ops::{Add, Descend, Double, Multiply, Repeat, Sum, Swallow, adding, given, keep};

fn plan(graph: &Graph) -> Plan {
    Plan::new(graph, &Limits::WEBGPU).unwrap()
}

/// As [`plan`], with calls in the order of their nodes.
fn plan_in_order(graph: &Graph) -> Plan {
    Plan::new(graph, &Limits { gpu_kernels: false, ..Limits::WEBGPU }).unwrap()
}

/// A chain of `2 x`.
fn chain(graph: &mut Graph, mut x: Tensor, length: usize) -> Tensor {
    for _ in 0..length {
        x = graph.add(Double, &[x]).unwrap();
    }
    x
}

fn names(plan: &Plan) -> Vec<&'static str> {
    plan.calls.iter().map(|call| call.kernel.name).collect()
}

/// The sizes in bytes of the slots.
fn slots(plan: &Plan) -> Vec<u64> {
    plan.buffers.iter().filter(|buffer| buffer.name.is_none()).map(|buffer| buffer.bytes).collect()
}

/// The buffer that a call writes: the last one, in all kernels here.
fn written(call: &PlannedCall) -> usize {
    call.arguments.last().unwrap().buffer
}

#[test]
fn a_chain_of_elementwise_ops_uses_two_slots() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 100);
    let y = chain(&mut graph, x, 7);
    keep(&mut graph, y, "y");
    let plan = plan(&graph);
    assert_eq!(names(&plan), ["double.forward"; 7]);
    assert_eq!(slots(&plan), [400 + READ_PAST; 2]);
    assert_eq!(plan.slot_bytes(), 2 * (400 + READ_PAST));
}

#[test]
fn a_tensor_that_lives_long_keeps_its_slot() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 100);
    let early = graph.add(Double, &[x]).unwrap();
    let late = chain(&mut graph, early, 5);
    let y = graph.add(Add, &[early, late]).unwrap();
    keep(&mut graph, y, "y");
    let plan = plan(&graph);
    let slot = written(&plan.calls[0]);
    assert!(plan.calls[1..6].iter().all(|call| written(call) != slot));
    assert_eq!(plan.calls[6].arguments[0].buffer, slot);
    assert_eq!(slots(&plan).len(), 3);
}

#[test]
fn a_view_keeps_the_slot_of_what_it_views() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 100);
    let early = graph.add(Double, &[x]).unwrap();
    let view = graph.reshape(early, [10, 10]).unwrap();
    let late = chain(&mut graph, early, 3);
    let late = graph.reshape(late, [10, 10]).unwrap();
    let y = graph.add(Add, &[view, late]).unwrap();
    keep(&mut graph, y, "y");
    let plan = plan(&graph);
    let slot = written(&plan.calls[0]);
    assert!(plan.calls[1..4].iter().all(|call| written(call) != slot));
    assert_eq!(plan.calls[4].arguments[0].buffer, slot);
}

#[test]
fn a_free_slot_grows_when_none_is_large_enough() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 1);
    let small = chain(&mut graph, x, 2);
    let large = graph.add(Repeat(1000), &[small]).unwrap();
    let y = graph.add(Double, &[large]).unwrap();
    keep(&mut graph, y, "y");
    let plan = plan(&graph);
    assert_eq!(written(&plan.calls[0]), written(&plan.calls[2]));
    assert_eq!(slots(&plan), [4000 + READ_PAST, 16 + READ_PAST]);
}

#[test]
fn the_smallest_free_slot_that_is_large_enough_is_taken() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 1);
    let sizes = [1000, 100, 10];
    let repeated = sizes.map(|elements| graph.add(Repeat(elements), &[x]).unwrap());
    // All three slots are free after these.
    for (tensor, name) in repeated.into_iter().zip(["a", "b", "c"]) {
        let sum = graph.add(Double, &[tensor]).unwrap();
        keep(&mut graph, sum, name);
    }
    let y = graph.add(Repeat(50), &[x]).unwrap();
    let z = graph.add(Double, &[y]).unwrap();
    keep(&mut graph, z, "z");
    let plan = plan_in_order(&graph);
    assert_eq!(written(&plan.calls[6]), written(&plan.calls[1]));
    assert_eq!(slots(&plan).len(), 3);
}

#[test]
fn nodes_that_nobody_needs_are_dropped_and_so_are_their_buffers() {
    let mut graph = Graph::new();
    let [x, unused, parameters] = ["x", "unused", "parameters"].map(|name| given(&mut graph, name, 8));
    chain(&mut graph, unused, 3);
    let y = graph.add(Sum, &[x]).unwrap();
    keep(&mut graph, y, "y");
    graph.add_shared(Arc::new(Swallow), &[unused]).unwrap();
    let gradients = graph.add(Double, &[x]).unwrap();
    graph.update(Arc::new(Descend), &[gradients], &[parameters]).unwrap();
    let plan = plan(&graph);
    assert_eq!(names(&plan), ["sum.forward", "double.forward", "sum.forward", "descend.update"]);
    let named: Vec<&str> = plan.buffers.iter().filter_map(|buffer| buffer.name.as_deref()).collect();
    assert_eq!(named, ["x", "parameters", "y"]);
}

#[test]
fn scratch_lies_apart_from_what_its_node_gives_and_is_free_behind_it() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 100);
    let sum = graph.add(Sum, &[x]).unwrap();
    let y = chain(&mut graph, sum, 2);
    keep(&mut graph, y, "y");
    let plan = plan(&graph);
    let [scratch, given, next] = [0, 1, 2].map(|call: usize| written(&plan.calls[call]));
    assert_eq!(plan.calls[1].arguments[0].buffer, scratch);
    assert_ne!(scratch, given);
    assert_eq!(scratch, next);
}

#[test]
fn a_tensor_that_the_device_cannot_bind_is_an_error_with_its_name_and_size_and_the_limit() {
    let mut graph = Graph::new();
    graph.scope("fc1");
    let x = given(&mut graph, "x", 257);
    let y = graph.add(Double, &[x]).unwrap();
    keep(&mut graph, y, "y");
    let limits = Limits { max_binding_bytes: 1024, ..Limits::WEBGPU };
    let error = Plan::new(&graph, &limits).unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes: 1028, limit: 1024, .. }), "{error:?}");
    let expected = "fc1: tensor `x` of double.forward needs 1028 bytes, the device binds at most 1024 bytes;";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(Plan::new(&graph, &Limits { max_binding_bytes: 1028, ..limits }).is_ok());
}

#[test]
fn a_call_with_too_many_workgroups_is_an_error_with_their_number_and_the_limit() {
    let mut graph = Graph::new();
    graph.scope("fc1");
    let x = given(&mut graph, "x", 64 * 10 + 1);
    let y = graph.add(Double, &[x]).unwrap();
    keep(&mut graph, y, "y");
    let error = Plan::new(&graph, &Limits { max_workgroups: 10, ..Limits::WEBGPU }).unwrap_err().to_string();
    let expected = "fc1: double.forward needs [11, 1, 1] workgroups, the device dispatches at most 10 along each axis;";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_buffer_that_a_call_both_reads_and_writes_is_an_error() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "one", 4);
    let y = graph.add(Double, &[x]).unwrap();
    let buffer = graph.buffer("one");
    graph.place(y, buffer, 256).unwrap();
    let error = Plan::new(&graph, &Limits::WEBGPU).unwrap_err().to_string();
    assert_eq!(error, ": double.forward: `y` is in a buffer that the call both reads and writes");
}

#[test]
fn a_range_that_does_not_start_where_the_device_can_bind_is_an_error() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 4);
    let y = graph.add(Double, &[x]).unwrap();
    let buffer = graph.buffer("y");
    graph.place(y, buffer, 128).unwrap();
    let error = Plan::new(&graph, &Limits::WEBGPU).unwrap_err().to_string();
    assert_eq!(error, ": double.forward: `y` starts at byte 128, which is not a multiple of 256");
}

/// Two layers, their gradients and an optimizer's step, with both variables in one flat buffer.
fn network() -> Graph {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 200);
    let (parameters, gradients) = (graph.buffer("parameters"), graph.buffer("gradients"));
    let mut variable = |offset| graph.persistent(TensorType::f32([200]), parameters, offset);
    let (w1, w2) = (variable(0), variable(1024));
    graph.scope("first");
    let first = graph.add(Multiply, &[x, w1]).unwrap();
    graph.scope("last");
    let last = graph.add(Multiply, &[first, w2]).unwrap();
    graph.scope("loss");
    let loss = graph.add(Sum, &[last]).unwrap();
    keep(&mut graph, loss, "loss");
    let seed = graph.add(Repeat(200), &[loss]).unwrap();
    let found = graph.gradients(last, seed, &[w1, w2], &adding()).unwrap();
    for (gradient, offset) in found.into_iter().zip([0, 1024]) {
        graph.place(gradient.unwrap(), gradients, offset).unwrap();
    }
    graph.scope("descend");
    let flat = [gradients, parameters].map(|buffer| graph.persistent(TensorType::f32([456]), buffer, 0));
    graph.update(Arc::new(Descend), &[flat[0]], &[flat[1]]).unwrap();
    graph
}

#[test]
fn a_plan_prints_as_a_table() {
    let found = plan(&network()).to_string();
    if found != include_str!("plan.txt") {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plan.txt");
        std::fs::write(&path, &found).unwrap();
        let path = path.display();
        panic!("this plan has changed; if that is meant, copy {path} to crates/graph/tests/spec/plan.txt\n\n{found}");
    }
}

#[test]
fn a_call_tells_the_shapes_and_bytes_of_what_it_sees_each_tensor_once() {
    let mut graph = Graph::new();
    let [x, y] = ["x", "y"].map(|name| given(&mut graph, name, 6));
    let x = graph.reshape(x, [2, 3]).unwrap();
    let y = graph.reshape(y, [2, 3]).unwrap();
    for (operands, name) in [([x, y], "z"), ([x, x], "twice")] {
        let sum = graph.add(Add, &operands).unwrap();
        keep(&mut graph, sum, name);
    }
    let calls = plan(&graph).calls;
    assert_eq!((calls[0].shapes(), calls[0].bytes()), ("2x3 2x3 -> 2x3".to_owned(), 72));
    assert_eq!((calls[1].shapes(), calls[1].bytes()), ("2x3 -> 2x3".to_owned(), 48));
}

#[test]
fn calls_that_do_not_depend_on_each_other_stand_side_by_side() {
    let mut graph = Graph::new();
    // Two chains of two calls, added one after the other, over separate buffers.
    for name in ["x", "y"] {
        let mut x = given(&mut graph, name, 100);
        for step in 0..2 {
            x = graph.add(Double, &[x]).unwrap();
            keep(&mut graph, x, &format!("{name} {step}"));
        }
    }
    let elsewhere = plan_in_order(&graph);
    assert_eq!((plan(&graph).waits(), elsewhere.waits()), (1, 2), "the first of both chains, then the second of both");
    assert_eq!(plan(&graph).calls.len(), elsewhere.calls.len());
}

#[test]
fn chains_that_could_share_slots_stand_side_by_side_all_the_same() {
    let mut graph = Graph::new();
    for name in ["x", "y"] {
        let x = given(&mut graph, name, 100);
        let y = chain(&mut graph, x, 4);
        keep(&mut graph, y, &format!("{name} 4"));
    }
    assert_eq!((plan(&graph).waits(), slots(&plan(&graph)).len()), (3, 4));
    assert_eq!((plan_in_order(&graph).waits(), slots(&plan_in_order(&graph)).len()), (6, 2));
}

#[test]
fn what_depends_on_parameters_alone_is_computed_where_it_is_needed() {
    let mut graph = Graph::new();
    let [x, parameters] = ["x", "parameters"].map(|name| given(&mut graph, name, 100));
    let prepared = graph.add(Double, &[parameters]).unwrap();
    let y = chain(&mut graph, x, 4);
    let z = graph.add(Add, &[prepared, y]).unwrap();
    keep(&mut graph, z, "z");
    let plan = plan(&graph);
    let reads = |call: &PlannedCall| plan.buffers[call.arguments[0].buffer].name.as_deref() == Some("parameters");
    assert_eq!((plan.calls.iter().position(reads), plan.waits()), (Some(3), 4), "{plan}");
}

#[test]
fn a_call_stays_behind_all_that_it_depends_on() {
    let mut graph = Graph::new();
    let x = given(&mut graph, "x", 100);
    let early = graph.add(Double, &[x]).unwrap();
    let late = chain(&mut graph, early, 5);
    let other = graph.add(Multiply, &[x, early]).unwrap();
    let y = graph.add(Add, &[other, late]).unwrap();
    keep(&mut graph, y, "y");
    let plan = plan(&graph);
    // The last writer of each buffer that a call reads is the same as in the order of the nodes.
    let inputs_of = |plan: &Plan, kernel: &str| -> Vec<&'static str> {
        let at = plan.calls.iter().rposition(|call| call.kernel.name == kernel).unwrap();
        let read = &plan.calls[at].arguments[..2];
        read.iter()
            .map(|argument| {
                let writer = plan.calls[..at].iter().rev().find(|call| written(call) == argument.buffer);
                writer.map_or("given", |call| call.kernel.name)
            })
            .collect()
    };
    assert_eq!(inputs_of(&plan, "add.forward"), ["multiply.forward", "double.forward"]);
    assert_eq!(inputs_of(&plan, "multiply.forward"), ["given", "double.forward"]);
}
