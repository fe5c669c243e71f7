//! Layers of several inputs.

use super::super::proto::AttributeProto;
use super::activations::with_number;
use super::graph::{Axes, Graph, Value};

/// The inputs with the same order of axes: ONNX' if one of them has it.
fn aligned(graph: &mut Graph, inputs: &[Value]) -> Vec<Value> {
    let rank = inputs.iter().map(|input| input.sample.len()).max().unwrap_or(0);
    let is_first = |input: &Value| input.axes == Axes::ChannelsFirst && input.sample.len() > 1;
    let axes = if inputs.iter().any(is_first) { Axes::ChannelsFirst } else { Axes::ChannelsLast };
    let mut aligned = Vec::new();
    for input in inputs {
        let missing = rank - input.sample.len();
        // Missing axes of a sample come behind the batch.
        let input = match missing {
            0 => input.clone(),
            _ => {
                let last = graph.channels_last(input);
                let sample = [&vec![1; missing][..], &last.sample].concat();
                Value { name: graph.reshape(&last.name, &sample), sample, axes: Axes::ChannelsLast }
            }
        };
        aligned.push(graph.ordered(&input, axes));
    }
    aligned
}

/// Appends a function of two inputs, applied from the first to the last.
pub(super) fn fold(graph: &mut Graph, op: &str, inputs: &[Value], output: &[usize]) -> Value {
    let aligned = aligned(graph, inputs);
    let mut merged = aligned[0].clone();
    for input in &aligned[1..] {
        merged = graph.map(op, &merged, &[&input.name], []);
    }
    Value { sample: output.to_vec(), ..merged }
}

pub(super) fn average(graph: &mut Graph, inputs: &[Value], output: &[usize]) -> Value {
    let sum = fold(graph, "Add", inputs, output);
    with_number(graph, "Mul", &sum, 1.0 / inputs.len() as f32)
}

/// `x + scale y`
pub(super) fn scaled_sum(graph: &mut Graph, scale: f64, inputs: &[Value], output: &[usize]) -> Value {
    let scaled = with_number(graph, "Mul", &inputs[1], scale as f32);
    fold(graph, "Add", &[inputs[0].clone(), scaled], output)
}

pub(super) fn concatenate(graph: &mut Graph, inputs: &[Value], output: &[usize]) -> Value {
    let aligned = aligned(graph, inputs);
    let names: Vec<&str> = aligned.iter().map(|input| &*input.name).collect();
    let axis = AttributeProto::int("axis", aligned[0].channel_axis());
    let name = graph.node("Concat", &names, [axis]);
    Value { name, sample: output.to_vec(), axes: aligned[0].axes }
}
