//! The graph's input: its extents, and whether its channels are the last axis.

use std::collections::{HashMap, HashSet};

use kiln_graph::Shape;

use super::super::proto::{DimensionProto, GraphProto, TensorProto};
use super::batch::channels_last;

/// The input of a model.
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

/// The only input that is no tensor of the file. Kiln's own graphs have its order of axes.
///
/// # Errors
/// If there are several, or extents are open that `given` does not have.
pub(super) fn of<'a>(
    graph: &'a GraphProto,
    tensors: &HashMap<&str, &TensorProto>,
    given: Option<&Shape>,
    is_own: bool,
) -> Result<Input<'a>, String> {
    let inputs: Vec<_> = graph.input.iter().filter(|input| !tensors.contains_key(input.name.as_str())).collect();
    let [input] = inputs[..] else {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        return Err(format!("inputs: expected one, found {}: {}", names.len(), names.join(", ")));
    };
    let problem =
        |expected: &str, found: &str| Err(format!("input `{}`: expected {expected}, found {found}", input.name));
    let tensor = input.r#type.as_ref().and_then(|found| found.tensor_type.as_ref());
    let dims: Vec<&DimensionProto> = match tensor.and_then(|tensor| tensor.shape.as_ref()) {
        Some(shape) => shape.dim.iter().collect(),
        None => return problem("a tensor with a shape", "another input"),
    };
    let [batch, dims @ ..] = &dims[..] else { return problem("a batch of samples", "a single number") };
    let rank = dims.len() + 1;
    let axes = match rank == 4 && !is_own && !has_channels_last(graph, &input.name) {
        true => channels_last(rank),
        false => (0..rank).collect(),
    };
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

/// Whether images have their channels last, as in Kiln: a Transpose to ONNX' order comes before any operator of images.
fn has_channels_last(graph: &GraphProto, input: &str) -> bool {
    const ELEMENTWISE: [&str; 10] = ["Identity", "Cast", "Add", "Sub", "Mul", "Div", "Relu", "Clip", "Dropout", "Pad"];
    let mut reached: HashSet<&str> = [input].into();
    for node in &graph.node {
        if !node.input.iter().any(|name| reached.contains(name.as_str())) {
            continue;
        }
        let perm = node.attribute.iter().find(|attribute| attribute.name == "perm");
        match &*node.op_type {
            "Transpose" if perm.is_some_and(|perm| perm.ints == TO_CHANNELS_FIRST) => return true,
            op if ELEMENTWISE.contains(&op) => reached.extend(node.output.iter().map(String::as_str)),
            _ => return false,
        }
    }
    false
}
