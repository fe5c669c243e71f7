//! Windows over images and sequences: their padding and the grid of their places.

use super::super::proto::AttributeProto;
use super::graph::{Graph, Value};
use super::misfit::Misfit;
use crate::layers::{AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D, Padding, SequencePadding};

/// The window of a convolution or pooling over `N` axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<const N: usize> {
    pub size: [usize; N],
    pub strides: [usize; N],
    pub dilation: [usize; N],
    pub padding: SequencePadding,
}

/// Padding of images as that of sequences.
pub(super) fn of_images(padding: Padding) -> SequencePadding {
    if padding == Padding::Same { SequencePadding::Same } else { SequencePadding::Valid }
}

/// Keras' padding 'same' of an axis before and after it: the smaller half is before.
pub(in super::super) fn same_pads(extent: usize, window: usize, stride: usize) -> [usize; 2] {
    let total = ((extent.div_ceil(stride).max(1) - 1) * stride + window).saturating_sub(extent);
    [total / 2, total - total / 2]
}

impl<const N: usize> Window<N> {
    fn window(&self, axis: usize) -> usize {
        (self.size[axis] - 1) * self.dilation[axis] + 1
    }

    /// The number of windows along each axis.
    pub fn grid(&self, extents: [usize; N]) -> [usize; N] {
        std::array::from_fn(|axis| match self.padding {
            SequencePadding::Same | SequencePadding::Causal => extents[axis].div_ceil(self.strides[axis]),
            SequencePadding::Valid => (extents[axis] - self.window(axis)) / self.strides[axis] + 1,
        })
    }

    /// The attributes of a convolution or pooling of images with these extents.
    pub fn attributes(&self, extents: [usize; N]) -> Vec<AttributeProto> {
        let pads: [[usize; 2]; N] = std::array::from_fn(|axis| match self.padding {
            SequencePadding::Same => same_pads(extents[axis], self.window(axis), self.strides[axis]),
            SequencePadding::Causal => [self.window(axis) - 1, 0],
            SequencePadding::Valid => [0; 2],
        });
        let mut attributes = vec![
            AttributeProto::ints("kernel_shape", self.size),
            AttributeProto::ints("strides", self.strides),
            AttributeProto::ints("pads", [0, 1].into_iter().flat_map(|side| pads.map(|pads| pads[side]))),
        ];
        if self.dilation.iter().any(|&rate| rate != 1) {
            attributes.push(AttributeProto::ints("dilations", self.dilation));
        }
        attributes
    }

    /// Appends a pooling.
    fn pool(&self, graph: &mut Graph, op: &str, x: &Value) -> Result<Value, Misfit> {
        let x = graph.channels_first(x);
        let Some(&extents) = x.sample.first_chunk::<N>().filter(|_| x.sample.len() == N + 1) else {
            return Err(Misfit::layer(format!("samples of {} axes", N + 1), format!("{} axes", x.sample.len())));
        };
        let name = graph.node(op, &[&x.name], self.attributes(extents));
        let sample = self.grid(extents).into_iter().chain([x.channels()]).collect();
        Ok(Value { name, sample, ..x })
    }
}

pub(super) fn average_pooling2d(graph: &mut Graph, layer: &AveragePooling2D, x: &Value) -> Result<Value, Misfit> {
    let AveragePooling2D { pool_size: size, strides, padding } = *layer;
    Window { size, strides, dilation: [1; 2], padding: of_images(padding) }.pool(graph, "AveragePool", x)
}

pub(super) fn max_pooling2d(graph: &mut Graph, layer: &MaxPooling2D, x: &Value) -> Result<Value, Misfit> {
    let MaxPooling2D { pool_size: size, strides, padding } = *layer;
    Window { size, strides, dilation: [1; 2], padding: of_images(padding) }.pool(graph, "MaxPool", x)
}

pub(super) fn average_pooling1d(graph: &mut Graph, layer: &AveragePooling1D, x: &Value) -> Result<Value, Misfit> {
    let AveragePooling1D { pool_size: size, strides, padding } = *layer;
    Window { size, strides, dilation: [1], padding: of_images(padding) }.pool(graph, "AveragePool", x)
}

pub(super) fn max_pooling1d(graph: &mut Graph, layer: &MaxPooling1D, x: &Value) -> Result<Value, Misfit> {
    let MaxPooling1D { pool_size: size, strides, padding } = *layer;
    Window { size, strides, dilation: [1], padding: of_images(padding) }.pool(graph, "MaxPool", x)
}

/// Appends a pooling over all places.
pub(super) fn global_pool(graph: &mut Graph, op: &str, keepdims: bool, x: &Value) -> Value {
    let x = graph.channels_first(x);
    let name = graph.node(op, &[&x.name], []);
    if keepdims {
        let ones = vec![1; x.sample.len() - 1];
        return Value { name, sample: [&ones[..], &[x.channels()]].concat(), ..x };
    }
    let name = graph.node("Flatten", &[&name], [AttributeProto::int("axis", 1)]);
    Value { name, sample: vec![x.channels()], ..x }
}
