//! The graph's inputs: their extents, and whether their channels are the last axis.

use std::collections::{HashMap, HashSet};

use kiln_graph::Shape;

use super::super::proto::{DOUBLE, DimensionProto, FLOAT, FLOAT16, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use super::batch::channels_last;

/// An input of a model.
pub(super) struct Input<'a> {
    pub name: &'a str,
    /// The shape of a sample in Kiln's order.
    pub sample: Shape,
    /// The axis of the graph's input that each of Kiln's axes is.
    pub axes: Vec<usize>,
    /// The number of samples, if it is fixed.
    pub batch: Option<i64>,
}

/// The order of axes that a Transpose of images with channels last to ONNX' order has.
const TO_CHANNELS_FIRST: [i64; 4] = [0, 3, 1, 2];

/// The inputs that are no tensors of the file and that the outputs depend on. Kiln's own graphs have its order of axes.
/// `given` is the shape of the first one.
///
/// # Errors
/// If there is none, or extents are open that `given` does not have, or an input has no floats.
pub(super) fn of<'a>(
    graph: &'a GraphProto,
    tensors: &HashMap<&str, &TensorProto>,
    needed: &HashSet<usize>,
    given: Option<&Shape>,
    is_own: bool,
) -> Result<Vec<Input<'a>>, String> {
    let nodes: Vec<&NodeProto> =
        graph.node.iter().enumerate().filter(|(index, _)| needed.contains(index)).map(|(_, node)| node).collect();
    let used: HashSet<&str> = (nodes.iter().flat_map(|node| &node.input).map(String::as_str))
        .chain(graph.output.iter().map(|output| output.name.as_str()))
        .collect();
    let is_used = |name: &str| !tensors.contains_key(name) && (is_own || used.contains(name));
    let inputs: Vec<_> = graph.input.iter().filter(|input| is_used(&input.name)).collect();
    if inputs.is_empty() {
        return Err("inputs: expected one that the outputs depend on, found none".to_owned());
    }
    let given = std::iter::once(given).chain(std::iter::repeat(None));
    inputs.into_iter().zip(given).map(|(input, given)| one(input, &nodes, given, is_own)).collect()
}

fn one<'a>(
    input: &'a ValueInfoProto,
    nodes: &[&NodeProto],
    given: Option<&Shape>,
    is_own: bool,
) -> Result<Input<'a>, String> {
    let problem =
        |expected: &str, found: &str| Err(format!("input `{}`: expected {expected}, found {found}", input.name));
    let tensor = input.r#type.as_ref().and_then(|found| found.tensor_type.as_ref());
    let dims: Vec<&DimensionProto> = match tensor.and_then(|tensor| tensor.shape.as_ref()) {
        Some(shape) => shape.dim.iter().collect(),
        None => return problem("a tensor with a shape", "another input"),
    };
    // Whole numbers have another division, and wrap around.
    let kind = tensor.map_or(FLOAT, |tensor| tensor.elem_type);
    let users = || nodes.iter().filter(|node| node.input.contains(&input.name));
    if ![FLOAT, DOUBLE, FLOAT16].contains(&kind) && !users().all(|node| ["Cast", "Shape"].contains(&&*node.op_type)) {
        return problem("a tensor of floats, or one that a Cast converts to them", &format!("elements of type {kind}"));
    }
    let [batch, dims @ ..] = &dims[..] else { return problem("a batch of samples", "a single number") };
    let rank = dims.len() + 1;
    let has_last = match rank {
        4 => !has_channels_last(nodes, &input.name),
        3 => is_read_by_windows(nodes, &input.name),
        _ => false,
    };
    let axes = if has_last && !is_own { channels_last(rank) } else { (0..rank).collect() };
    if let Some(given) = given.filter(|given| given.len() != dims.len()) {
        return problem(&format!("{} extents of a sample, as input_shape has", given.len()), &dims.len().to_string());
    }
    let mut sample = Vec::new();
    for (place, &axis) in axes[1..].iter().enumerate() {
        let known =
            dims[axis - 1].dim_value.and_then(|extent| usize::try_from(extent).ok()).filter(|&extent| extent > 0);
        let wanted = given.and_then(|given| given.get(place).copied());
        match (known, wanted) {
            (Some(known), Some(wanted)) if known != wanted => {
                return problem(&format!("{wanted} as axis {axis}, as input_shape has"), &known.to_string());
            }
            (Some(extent), _) | (None, Some(extent)) => sample.push(extent),
            (None, None) => {
                return problem("known extents of a sample, or an input_shape", &format!("axis {axis} without extent"));
            }
        }
    }
    Ok(Input { name: &input.name, sample: sample.into(), axes, batch: batch.dim_value.filter(|&samples| samples > 0) })
}

/// The first node behind an input that is no function of each value.
fn first_node<'a>(nodes: &[&'a NodeProto], input: &'a str) -> Option<&'a NodeProto> {
    const ELEMENTWISE: [&str; 10] = ["Identity", "Cast", "Add", "Sub", "Mul", "Div", "Relu", "Clip", "Dropout", "Pad"];
    let mut reached: HashSet<&str> = [input].into();
    for node in nodes {
        if !node.input.iter().any(|name| reached.contains(name.as_str())) {
            continue;
        }
        if !ELEMENTWISE.contains(&&*node.op_type) {
            return Some(node);
        }
        reached.extend(node.output.iter().map(String::as_str));
    }
    None
}

/// Whether images have their channels last, as in Kiln: a Transpose to ONNX' order comes before any operator of images.
fn has_channels_last(nodes: &[&NodeProto], input: &str) -> bool {
    let first = first_node(nodes, input).filter(|node| node.op_type == "Transpose");
    let perm = first.and_then(|node| node.attribute.iter().find(|attribute| attribute.name == "perm"));
    perm.is_some_and(|perm| perm.ints == TO_CHANNELS_FIRST)
}

/// Whether an input of 3 axes has sequences with ONNX' order of axes.
fn is_read_by_windows(nodes: &[&NodeProto], input: &str) -> bool {
    const OF_SEQUENCES: [&str; 7] = [
        "Conv",
        "ConvTranspose",
        "MaxPool",
        "AveragePool",
        "BatchNormalization",
        "InstanceNormalization",
        "GroupNormalization",
    ];
    first_node(nodes, input).is_some_and(|node| OF_SEQUENCES.contains(&&*node.op_type))
}
