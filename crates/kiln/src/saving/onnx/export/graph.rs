//! The ONNX graph under construction: nodes, constants, and the order of the axes of each value.

use std::collections::{HashMap, HashSet};

use super::super::proto::{AttributeProto, NodeProto, TensorProto};

/// A batch of samples in the graph.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub name: String,
    /// The extents of a sample in Kiln's order, the channels last.
    pub sample: Vec<usize>,
    pub axes: Axes,
}

/// The order of the axes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Axes {
    /// ONNX': batch, channels, height, width.
    ChannelsFirst,
    /// Kiln's: batch, height, width, channels.
    ChannelsLast,
}

impl Value {
    /// The extents of a sample in the order of its axes.
    pub fn extents(&self) -> Vec<usize> {
        self.ordered(&self.sample)
    }

    /// The axis of the channels, counting the batch as axis 0.
    pub fn channel_axis(&self) -> i64 {
        if self.axes == Axes::ChannelsFirst { 1 } else { self.sample.len() as i64 }
    }

    /// One thing for each axis of a sample, from Kiln's order to that of the value.
    pub fn ordered<T: Copy>(&self, of_axes: &[T]) -> Vec<T> {
        match (self.axes, of_axes.split_last()) {
            (Axes::ChannelsFirst, Some((&channels, others))) => [&[channels], others].concat(),
            _ => of_axes.to_vec(),
        }
    }

    pub fn channels(&self) -> usize {
        self.sample.last().copied().unwrap_or(1)
    }
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    pub nodes: Vec<NodeProto>,
    pub initializers: Vec<TensorProto>,
    /// The name of the layer whose nodes are appended.
    pub layer: String,
    names: HashSet<String>,
    /// Values with their axes in another order.
    reordered: HashMap<(String, Axes), String>,
    numbers: HashMap<u32, String>,
}

impl Graph {
    /// An unused name.
    pub fn name(&mut self, wanted: &str) -> String {
        let numbered = (0..).map(|number| if number == 0 { wanted.to_owned() } else { format!("{wanted}_{number}") });
        let free = numbered.filter(|name| !self.names.contains(name)).take(1);
        let name: String = free.collect();
        self.names.insert(name.clone());
        name
    }

    /// Appends a node with one output, whose name it returns.
    pub fn node(&mut self, op: &str, inputs: &[&str], attribute: impl Into<Vec<AttributeProto>>) -> String {
        let output = self.name(&format!("{}/{op}", self.layer));
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op.to_owned(),
            attribute: attribute.into(),
            ..NodeProto::default()
        });
        output
    }

    /// Appends a node whose output has the shape of the value.
    pub fn map(&mut self, op: &str, x: &Value, others: &[&str], attribute: impl Into<Vec<AttributeProto>>) -> Value {
        let inputs = [&[x.name.as_str()], others].concat();
        Value { name: self.node(op, &inputs, attribute), ..x.clone() }
    }

    /// A value of the layer's variable, or computed from it. All calls of a shared layer have one.
    pub fn weight(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        if !self.names.contains(name) {
            let name = self.name(name);
            self.initializers.push(TensorProto::floats(name, dims, values));
        }
        name.to_owned()
    }

    /// A constant of the layer.
    pub fn constant(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let name = self.name(&format!("{}/{name}", self.layer));
        self.initializers.push(TensorProto::floats(name.clone(), dims, values));
        name
    }

    /// Whole numbers as a constant of the layer: extents or axes.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let name = self.name(&format!("{}/{name}", self.layer));
        self.initializers.push(TensorProto::ints(name.clone(), values));
        name
    }

    /// A number as a constant.
    pub fn number(&mut self, value: f32) -> String {
        if let Some(name) = self.numbers.get(&value.to_bits()) {
            return name.clone();
        }
        let name = self.name(&format!("number/{value}"));
        self.initializers.push(TensorProto::floats(name.clone(), &[], &[value]));
        self.numbers.insert(value.to_bits(), name.clone());
        name
    }

    /// The value with its axes in this order.
    pub fn ordered(&mut self, x: &Value, axes: Axes) -> Value {
        if x.axes == axes || x.sample.len() < 2 {
            return Value { axes, ..x.clone() };
        }
        let key = (x.name.clone(), axes);
        if let Some(name) = self.reordered.get(&key) {
            return Value { name: name.clone(), axes, ..x.clone() };
        }
        let rank = x.sample.len() + 1;
        let order: Vec<usize> = match axes {
            Axes::ChannelsFirst => [0, rank - 1].into_iter().chain(1..rank - 1).collect(),
            Axes::ChannelsLast => [0].into_iter().chain(2..rank).chain([1]).collect(),
        };
        let name = self.node("Transpose", &[&x.name], [AttributeProto::ints("perm", order)]);
        self.reordered.insert(key, name.clone());
        self.reordered.insert((name.clone(), x.axes), x.name.clone());
        Value { name, axes, ..x.clone() }
    }

    pub fn channels_first(&mut self, x: &Value) -> Value {
        self.ordered(x, Axes::ChannelsFirst)
    }

    pub fn channels_last(&mut self, x: &Value) -> Value {
        self.ordered(x, Axes::ChannelsLast)
    }

    /// The same values in the same order with other extents of a sample, in the order of its axes.
    pub fn reshape(&mut self, x: &str, extents: &[usize]) -> String {
        let shape: Vec<i64> = std::iter::once(0).chain(extents.iter().map(|&extent| extent as i64)).collect();
        let shape = self.ints("shape", &shape);
        self.node("Reshape", &[x, &shape], [])
    }

    /// Renames a value. Returns false if no node computes it.
    pub fn rename(&mut self, old: &str, new: &str) -> bool {
        let is_computed = self.nodes.iter().any(|node| node.output.iter().any(|output| output == old));
        if is_computed {
            for node in &mut self.nodes {
                let names = node.input.iter_mut().chain(&mut node.output);
                names.filter(|name| *name == old).for_each(|name| new.clone_into(name));
            }
        }
        is_computed
    }
}
