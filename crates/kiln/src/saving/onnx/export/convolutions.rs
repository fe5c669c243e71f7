//! Products with kernels: Conv, ConvTranspose, Gemm and MatMul.

use super::super::proto::AttributeProto;
use super::activations::activation;
use super::graph::{Graph, Value};
use super::misfit::Misfit;
use super::windows::{Window, of_images, same_pads};
use crate::layers::{
    Conv1D, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, Padding, SeparableConv2D, SequencePadding,
};
use crate::weights::Weight;

/// The order of a kernel's axes in ONNX, from that of Keras.
type Order = [usize; 4];

/// `[R, S, C, K]` as `[K, C, R, S]`.
const OF_CONVOLUTION: Order = [3, 2, 0, 1];
/// `[R, S, C, M]` as `[C M, 1, R, S]`: of `[C, M, R, S]`.
const DEPTHWISE: Order = [2, 3, 0, 1];
/// `[R, S, K, C]` as `[C, K, R, S]`.
const TRANSPOSED: Order = [3, 2, 0, 1];

/// A tensor of 4 axes with its axes in another order.
fn reordered(values: &[f32], extents: [usize; 4], order: Order) -> Vec<f32> {
    let mut strides = [1; 4];
    for axis in (0..3).rev() {
        strides[axis] = strides[axis + 1] * extents[axis + 1];
    }
    let ([a, b, c, d], steps) = (order.map(|axis| extents[axis]), order.map(|axis| strides[axis]));
    let mut reordered = Vec::with_capacity(values.len());
    for i in 0..a {
        for j in 0..b {
            for k in 0..c {
                let first = i * steps[0] + j * steps[1] + k * steps[2];
                reordered.extend((0..d).map(|l| values[first + l * steps[3]]));
            }
        }
    }
    reordered
}

/// A kernel in ONNX' layout: its name and extents.
fn kernel(graph: &mut Graph, weight: &Weight, order: Order, depthwise: bool) -> Result<String, Misfit> {
    let extents =
        weight.shape.dims::<4>().ok_or_else(|| Misfit::layer("a kernel of 4 axes", weight.shape.to_string()))?;
    let values = reordered(&weight.values, extents, order);
    let dims = match order.map(|axis| extents[axis]) {
        [c, m, r, s] if depthwise => [c * m, 1, r, s],
        dims => dims,
    };
    Ok(graph.weight(&weight.name, &dims, &values))
}

fn vector(graph: &mut Graph, weight: Option<&Weight>) -> Option<String> {
    weight.map(|weight| graph.weight(&weight.name, &[weight.values.len()], &weight.values))
}

/// The kernel `[R, C, K]` of sequences as `[K, C, R]`.
fn sequence_kernel(graph: &mut Graph, weight: &Weight) -> Result<String, Misfit> {
    let [length, channels, filters] =
        weight.shape.dims::<3>().ok_or_else(|| Misfit::layer("a kernel of 3 axes", weight.shape.to_string()))?;
    let values = reordered(&weight.values, [length, 1, channels, filters], OF_CONVOLUTION);
    Ok(graph.weight(&weight.name, &[filters, channels, length], &values))
}

struct Convolution<const N: usize> {
    kernel: String,
    bias: Option<String>,
    groups: usize,
    filters: usize,
    window: Window<N>,
}

impl<const N: usize> Convolution<N> {
    fn append(self, graph: &mut Graph, x: &Value) -> Result<Value, Misfit> {
        let x = graph.channels_first(x);
        let extents = x.sample.first_chunk::<N>().copied().unwrap_or([1; N]);
        let mut attributes = self.window.attributes(extents);
        if self.groups > 1 {
            attributes.push(AttributeProto::int("group", self.groups as i64));
        }
        let sample = self.window.grid(extents).into_iter().chain([self.filters]).collect();
        let inputs: Vec<&str> = [&*x.name, &*self.kernel].into_iter().chain(self.bias.as_deref()).collect();
        let name = graph.node("Conv", &inputs, attributes);
        Ok(Value { name, sample, ..x })
    }
}

pub(super) fn conv1d(graph: &mut Graph, layer: &Conv1D, weights: &[Weight], x: &Value) -> Result<Value, Misfit> {
    let (size, strides) = (layer.kernel_size, layer.strides);
    let convolution = Convolution {
        kernel: sequence_kernel(graph, &weights[0])?,
        bias: vector(graph, weights.get(1)),
        groups: layer.groups,
        filters: layer.filters,
        window: Window { size, strides, dilation: layer.dilation_rate, padding: layer.padding },
    };
    let y = convolution.append(graph, x)?;
    activation(graph, layer.activation, y)
}

pub(super) fn conv2d(graph: &mut Graph, layer: &Conv2D, weights: &[Weight], x: &Value) -> Result<Value, Misfit> {
    let (size, strides) = (layer.kernel_size, layer.strides);
    let convolution = Convolution {
        kernel: kernel(graph, &weights[0], OF_CONVOLUTION, false)?,
        bias: vector(graph, weights.get(1)),
        groups: layer.groups,
        filters: layer.filters,
        window: Window { size, strides, dilation: layer.dilation_rate, padding: of_images(layer.padding) },
    };
    let y = convolution.append(graph, x)?;
    activation(graph, layer.activation, y)
}

pub(super) fn depthwise_conv2d(
    graph: &mut Graph,
    layer: &DepthwiseConv2D,
    weights: &[Weight],
    x: &Value,
) -> Result<Value, Misfit> {
    let (size, strides) = (layer.kernel_size, layer.strides);
    let convolution = Convolution {
        kernel: kernel(graph, &weights[0], DEPTHWISE, true)?,
        bias: vector(graph, weights.get(1)),
        groups: x.channels(),
        filters: x.channels() * layer.depth_multiplier,
        window: Window { size, strides, dilation: layer.dilation_rate, padding: of_images(layer.padding) },
    };
    let y = convolution.append(graph, x)?;
    activation(graph, layer.activation, y)
}

pub(super) fn separable_conv2d(
    graph: &mut Graph,
    layer: &SeparableConv2D,
    weights: &[Weight],
    x: &Value,
) -> Result<Value, Misfit> {
    let (size, strides) = (layer.kernel_size, layer.strides);
    let depthwise = Convolution {
        kernel: kernel(graph, &weights[0], DEPTHWISE, true)?,
        bias: None,
        groups: x.channels(),
        filters: x.channels() * layer.depth_multiplier,
        window: Window { size, strides, dilation: layer.dilation_rate, padding: of_images(layer.padding) },
    };
    let y = depthwise.append(graph, x)?;
    let pointwise = Convolution {
        kernel: kernel(graph, &weights[1], OF_CONVOLUTION, false)?,
        bias: vector(graph, weights.get(2)),
        groups: 1,
        filters: layer.filters,
        window: Window { size: [1; 2], strides: [1; 2], dilation: [1; 2], padding: SequencePadding::Valid },
    };
    let y = pointwise.append(graph, &y)?;
    activation(graph, layer.activation, y)
}

pub(super) fn conv2d_transpose(
    graph: &mut Graph,
    layer: &Conv2DTranspose,
    weights: &[Weight],
    x: &Value,
    output: &[usize],
) -> Result<Value, Misfit> {
    let x = graph.channels_first(x);
    let kernel = kernel(graph, &weights[0], TRANSPOSED, false)?;
    let bias = vector(graph, weights.get(1));
    let (mut before, mut after, mut added) = ([0; 2], [0; 2], [0; 2]);
    for axis in 0..2 {
        let extent = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1;
        if layer.padding == Padding::Same {
            [before[axis], after[axis]] = same_pads(output[axis], extent, layer.strides[axis]);
        }
        let whole = (x.sample[axis] - 1) * layer.strides[axis] + extent - before[axis] - after[axis];
        added[axis] = output[axis]
            .checked_sub(whole)
            .ok_or_else(|| Misfit::layer(format!("an output of at least {whole} pixels"), output[axis].to_string()))?;
    }
    let attributes = [
        AttributeProto::ints("kernel_shape", layer.kernel_size),
        AttributeProto::ints("strides", layer.strides),
        AttributeProto::ints("dilations", layer.dilation_rate),
        AttributeProto::ints("pads", [before, after].concat()),
        AttributeProto::ints("output_padding", added),
    ];
    let inputs: Vec<&str> = [&*x.name, &*kernel].into_iter().chain(bias.as_deref()).collect();
    let name = graph.node("ConvTranspose", &inputs, attributes);
    let y = Value { name, sample: output.to_vec(), ..x };
    activation(graph, layer.activation, y)
}

pub(super) fn dense(graph: &mut Graph, layer: &Dense, weights: &[Weight], x: &Value) -> Result<Value, Misfit> {
    let x = graph.channels_last(x);
    let kernel = graph.weight(&weights[0].name, &weights[0].shape, &weights[0].values);
    let bias = vector(graph, weights.get(1));
    let mut sample = x.sample.clone();
    if let Some(features) = sample.last_mut() {
        *features = layer.units;
    }
    let name = match (sample.len(), &bias) {
        (1, bias) => {
            let inputs: Vec<&str> = [&*x.name, &*kernel].into_iter().chain(bias.as_deref()).collect();
            graph.node("Gemm", &inputs, [])
        }
        (_, None) => graph.node("MatMul", &[&x.name, &kernel], []),
        (_, Some(bias)) => {
            let product = graph.node("MatMul", &[&x.name, &kernel], []);
            graph.node("Add", &[&product, bias], [])
        }
    };
    activation(graph, layer.activation, Value { name, sample, ..x })
}
