//! Models as ONNX graphs.
//!
//! A graph has the model's inputs and outputs with Kiln's axes, the channels last. Values are transposed to ONNX' order where
//! an operator expects it, and back where the order of a sample's values matters; so there is no transposition between
//! convolutions.

mod activations;
mod convolutions;
mod graph;
mod merges;
mod misfit;
mod normalizations;
mod shapes;
mod windows;

pub(super) use activations::SELU;
pub(super) use windows::same_pads;

use std::collections::HashMap;

use super::proto::{GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto};
use crate::layers::{self, Activation, CustomScaleLayer, Layer, SavedLayer};
use crate::network::{Node, PlacedLayer};
use crate::weights::Weight;
use crate::{LayerError, Model, Result};

use graph::{Axes, Graph, Value};
use misfit::Misfit;

/// The version of the operators, the first with LayerNormalization.
const OPSET: i64 = 17;
/// The version of the format, of the same release: ONNX 1.12.
const IR_VERSION: i64 = 8;

/// The program's name in a file.
pub(super) const PRODUCER: &str = "Kiln";

/// The model with its weights.
///
/// # Errors
/// If ONNX lacks a layer or an option, or the device fails.
pub(super) fn export(model: &Model) -> Result<ModelProto> {
    let (network, weights) = (model.network(), model.get_weights()?);
    network.check()?;
    let mut graph = Graph::default();
    let inputs: Vec<Value> = (network.inputs.iter())
        .map(|input| Value { name: graph.name(&input.name), sample: input.shape.to_vec(), axes: Axes::ChannelsLast })
        .collect();
    let mut values: Vec<Value> = Vec::new(); // by layer
    let value_of = |values: &[Value], node: Node| match (node.input(), node.layer()) {
        (Some(input), _) => inputs[input].clone(),
        (None, layer) => values[layer.unwrap_or_default()].clone(),
    };
    for placed in &network.layers {
        let inputs: Vec<Value> = placed.inputs.iter().map(|&node| value_of(&values, node)).collect();
        graph.layer.clone_from(&placed.name);
        let weights = &weights[placed.variables.clone()];
        let value = layer(&mut graph, placed, weights, &inputs).map_err(|misfit| of_layer(placed, misfit))?;
        values.push(value);
    }
    let (mut outputs, mut renamed) = (Vec::new(), HashMap::new());
    for (&node, name) in network.outputs.iter().zip(network.output_names()) {
        outputs.push(finished(&mut graph, &value_of(&values, node), name, &mut renamed));
    }
    let batches = |values: &[Value]| {
        values.iter().map(|value| ValueInfoProto::batch(&value.name, &value.sample)).collect::<Vec<_>>()
    };
    let graph = GraphProto {
        node: graph.nodes,
        name: network.name.clone(),
        initializer: graph.initializers,
        input: batches(&inputs),
        output: batches(&outputs),
        ..GraphProto::default()
    };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: PRODUCER.to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
    })
}

/// An output with Kiln's axes and this name, or a similar one if it is taken. Several outputs can be the same value, which
/// `renamed` then has under its new name.
fn finished(graph: &mut Graph, output: &Value, name: &str, renamed: &mut HashMap<String, String>) -> Value {
    graph.layer = "output".to_owned();
    let output = graph.channels_last(output);
    let name = graph.name(name);
    let earlier = renamed.get(&output.name);
    if earlier.is_none() && graph.rename(&output.name, &name) {
        renamed.insert(output.name, name.clone());
    } else {
        let copy = graph.node("Identity", &[earlier.unwrap_or(&output.name)], []);
        graph.rename(&copy, &name);
    }
    Value { name, sample: output.sample, axes: output.axes }
}

fn of_layer(placed: &PlacedLayer, Misfit { argument, expected, found }: Misfit) -> LayerError {
    LayerError { layer: placed.name.clone(), class_name: placed.layer.class_name(), argument, expected, found }
}

/// A layer with its arguments.
fn read<L: SavedLayer>(layer: &dyn Layer) -> std::result::Result<L, Misfit> {
    let wrong = |problem| Misfit::layer("a layer of Kiln's", problem);
    L::from_config(&layer.config()).map_err(wrong)
}

/// # Errors
/// If axes, which count the batch as axis 0, are not the last one alone.
fn check_last(axes: &[i64], x: &Value) -> std::result::Result<(), Misfit> {
    match axes {
        [axis] if *axis == -1 || *axis == x.sample.len() as i64 => Ok(()),
        _ => Err(Misfit::argument("axis", format!("the last one (-1 or {})", x.sample.len()), format!("{axes:?}"))),
    }
}

/// Appends a call of a layer.
fn layer(
    graph: &mut Graph,
    placed: &PlacedLayer,
    weights: &[Weight],
    inputs: &[Value],
) -> std::result::Result<Value, Misfit> {
    let layer = &*placed.layer;
    let output = placed.shapes.as_ref().map(|(_, output)| output.to_vec()).unwrap_or_default();
    let x = inputs.first().ok_or_else(|| Misfit::layer("an input", "none"))?;
    let is_normalization = layer.class_name() == "BatchNormalization";
    if placed.training == Some(true) && (layer.is_random() || is_normalization && placed.trainable) {
        return Err(Misfit::argument("training", "a layer that is called as in a prediction", true));
    }
    if layer.package() != Activation::PACKAGE {
        let found = format!("a custom layer of the package `{}`", layer.package());
        return Err(Misfit::layer("a layer that ONNX has", found));
    }
    Ok(match layer.class_name() {
        "Activation" => activations::activation(graph, read(layer)?, x.clone())?,
        "ReLU" => activations::activation(graph, read::<layers::ReLU>(layer)?.into(), x.clone())?,
        "LeakyReLU" => activations::activation(graph, read::<layers::LeakyReLU>(layer)?.into(), x.clone())?,
        "ELU" => activations::activation(graph, read::<layers::ELU>(layer)?.into(), x.clone())?,
        "Softmax" => {
            check_last(&read::<layers::Softmax>(layer)?.axis, x)?;
            activations::activation(graph, Activation::Softmax, x.clone())?
        }
        "Dropout" | "SpatialDropout2D" | "GaussianNoise" | "StochasticDepth" | "Identity" | "RandomBrightness"
        | "RandomContrast" | "RandomFlip" | "RandomRotation" | "RandomTranslation" | "RandomZoom" => x.clone(),
        "Conv1D" => convolutions::conv1d(graph, &read(layer)?, weights, x)?,
        "Conv2D" => convolutions::conv2d(graph, &read(layer)?, weights, x)?,
        "Conv2DTranspose" => convolutions::conv2d_transpose(graph, &read(layer)?, weights, x, &output)?,
        "DepthwiseConv2D" => convolutions::depthwise_conv2d(graph, &read(layer)?, weights, x)?,
        "SeparableConv2D" => convolutions::separable_conv2d(graph, &read(layer)?, weights, x)?,
        "Dense" => convolutions::dense(graph, &read(layer)?, weights, x)?,
        "AveragePooling2D" => windows::average_pooling2d(graph, &read(layer)?, x)?,
        "MaxPooling2D" => windows::max_pooling2d(graph, &read(layer)?, x)?,
        "AveragePooling1D" => windows::average_pooling1d(graph, &read(layer)?, x)?,
        "MaxPooling1D" => windows::max_pooling1d(graph, &read(layer)?, x)?,
        "GlobalAveragePooling2D" | "GlobalAveragePooling1D" => {
            windows::global_pool(graph, "GlobalAveragePool", output.len() > 1, x)
        }
        "GlobalMaxPooling2D" | "GlobalMaxPooling1D" => {
            windows::global_pool(graph, "GlobalMaxPool", output.len() > 1, x)
        }
        "BatchNormalization" => normalizations::batch_normalization(graph, &read(layer)?, weights, x),
        "LayerNormalization" => normalizations::layer_normalization(graph, &read(layer)?, weights, x),
        "GroupNormalization" => {
            let layer: layers::GroupNormalization = read(layer)?;
            check_last(&[layer.axis], x)?;
            normalizations::group_normalization(graph, &layer, weights, x)
        }
        "Normalization" => normalizations::normalization(graph, &read(layer)?, weights, x)?,
        "Rescaling" => normalizations::rescaling(graph, &read(layer)?, x),
        "LayerScale" => normalizations::layer_scale(graph, &read(layer)?, weights, x),
        "PReLU" => normalizations::prelu(graph, &read(layer)?, weights, x),
        "Flatten" => shapes::flatten(graph, x),
        "GetItem" => shapes::get_item(graph, &read(layer)?, x)?,
        "Reshape" => shapes::reshape(graph, x, &output),
        "Permute" => shapes::permute(graph, &read(layer)?, x),
        "ZeroPadding2D" => shapes::zero_padding2d(graph, &read(layer)?, x),
        "Cropping2D" => shapes::cropping2d(graph, &read(layer)?, x),
        "Resizing" => shapes::resize(graph, read::<layers::Resizing>(layer)?.interpolation, x, &output)?,
        "UpSampling2D" => shapes::resize(graph, read::<layers::UpSampling2D>(layer)?.interpolation, x, &output)?,
        "Add" => merges::fold(graph, "Add", inputs, &output),
        "Subtract" => merges::fold(graph, "Sub", inputs, &output),
        "Multiply" => merges::fold(graph, "Mul", inputs, &output),
        "Maximum" => merges::fold(graph, "Max", inputs, &output),
        "Minimum" => merges::fold(graph, "Min", inputs, &output),
        "Average" => merges::average(graph, inputs, &output),
        "CustomScaleLayer" => merges::scaled_sum(graph, read::<CustomScaleLayer>(layer)?.scale, inputs, &output),
        "Concatenate" => merges::concatenate(graph, inputs, &output),
        _ => return Err(Misfit::layer("a layer that ONNX has", "a layer that Kiln cannot export")),
    })
}
