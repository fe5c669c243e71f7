//! ONNX graphs as models of Kiln's layers.
//!
//! Each value of the graph that depends on the input is the output of a layer, together with the order of its axes: images
//! have their channels last in Kiln, so a Transpose only changes that order. Where an operator needs another order than the
//! layer's output has, a Permute layer is inserted.

mod batch;
mod constant;
mod convolutions;
mod elementwise;
mod fold;
mod input;
mod moves;
mod node;
mod normalizations;
mod parts;
mod pooling;
mod resizing;
mod space;

use std::collections::{HashMap, HashSet};

use kiln_graph::Shape;

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::layers::{self, Layer};
use crate::network::Node as LayerNode;
use crate::weights::Weight;
use crate::{Error, Model};

use batch::{Batch, Flat, IMAGE, SEQUENCE};
use constant::{BATCH, Constant};
use node::Node;

/// The most values of all weights and constants that are computed.
const MOST_VALUES: usize = 1 << 30;
/// The versions of the operators that are known.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// Why a graph is no model.
pub(super) enum Problem {
    /// A description of what Kiln lacks or the file has wrong.
    Unsupported(String),
    /// An error of the model.
    Model(Error),
}

impl From<String> for Problem {
    fn from(problem: String) -> Problem {
        Problem::Unsupported(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        Problem::Model(error)
    }
}

type Result<T, E = Problem> = std::result::Result<T, E>;

/// A value of the graph.
#[derive(Clone, Debug)]
enum Value {
    Constant(Constant),
    Batch(Batch),
}

/// The model under construction.
struct Importer<'a> {
    graph: &'a GraphProto,
    model: Model,
    /// The tensors of the file.
    tensors: HashMap<&'a str, &'a TensorProto>,
    values: HashMap<&'a str, Value>,
    /// The nodes that use each value, and the graph's outputs as further ones.
    users: HashMap<&'a str, Vec<usize>>,
    /// The nodes that are parts of layers of other nodes, or that no output depends on.
    done: HashSet<usize>,
    names: HashSet<String>,
    /// The values of all variables so far, in the model's order.
    weights: Vec<Vec<f32>>,
    /// The number of values read and computed.
    size: usize,
    opset: i64,
    batch: Option<i64>,
}

/// Reads a graph. The shape is that of a sample in Kiln's order, for a graph that leaves extents open.
///
/// # Errors
/// If the graph is damaged, or has an operator or attribute that Kiln lacks.
pub(super) fn import(message: ModelProto, input_shape: Option<&Shape>) -> Result<Model> {
    let is_standard =
        |domain: &Option<String>| domain.as_deref().is_none_or(|name| name.is_empty() || name == "ai.onnx");
    let opset = message.opset_import.iter().find(|opset| is_standard(&opset.domain)).and_then(|opset| opset.version);
    let opset = opset.unwrap_or(1);
    if !OPSETS.contains(&opset) {
        let (first, last) = (OPSETS.start(), OPSETS.end());
        return Err(format!("opset_import: expected operators of version {first} to {last}, found {opset}").into());
    }
    let graph = message.graph.as_ref().ok_or_else(|| "expected a graph, found none".to_owned())?;
    if !graph.sparse_initializer.is_empty() {
        return Err("sparse_initializer: expected dense tensors, found sparse ones".to_owned().into());
    }
    let tensors: HashMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let is_own = message.producer_name == super::export::PRODUCER;
    let needed = needed(graph);
    let inputs = input::of(graph, &tensors, &needed, input_shape, is_own)?;
    let mut users: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate().filter(|(index, _)| needed.contains(index)) {
        node.input.iter().for_each(|name| users.entry(name).or_default().push(index));
    }
    graph.output.iter().for_each(|output| users.entry(&output.name).or_default().push(usize::MAX));
    let name = if graph.name.is_empty() || graph.name.contains('/') { "functional" } else { &graph.name };
    let has_channels_last = inputs.iter().any(|input| input.axes == SEQUENCE);
    let batch = inputs.iter().find_map(|input| input.batch);
    let mut model = Model::new(inputs[0].sample.clone()).with_name(name);
    let (mut values, mut names) = (HashMap::new(), HashSet::new());
    for (index, input) in inputs.into_iter().enumerate() {
        let name = unused(&names, layer_name(input.name));
        names.insert(name.clone());
        let node = if index == 0 { model.input() } else { model.add_input(name.clone(), input.sample) };
        if index == 0 {
            model = model.with_input_name(name);
        }
        let first = Batch { node, axes: input.axes, is_positive: false, flat: None };
        values.insert(input.name, Value::Batch(first));
    }
    let end = |output: &ValueInfoProto| {
        let (name, op_type) = (output.name.clone(), "output".to_owned());
        NodeProto { name, op_type, ..NodeProto::default() }
    };
    let ends: Vec<NodeProto> = graph.output.iter().map(end).collect();
    let mut importer = Importer {
        graph,
        model,
        tensors,
        values,
        users,
        done: (0..graph.node.len()).filter(|index| !needed.contains(index)).collect(),
        names,
        weights: Vec::new(),
        size: 0,
        opset,
        batch,
    };
    importer.nodes()?;
    let kept = Kept { images: !is_own, sequences: !is_own && has_channels_last };
    importer.finish(&ends, kept)
}

/// Which outputs keep Kiln's order of axes, the channels last.
#[derive(Clone, Copy)]
struct Kept {
    images: bool,
    sequences: bool,
}

/// This name, or with a number behind it.
fn unused(names: &HashSet<String>, name: String) -> String {
    let mut numbered = (1usize..).map(|number| format!("{name}_{number}"));
    match names.contains(&name) {
        true => numbered.find(|name| !names.contains(name)).unwrap_or_default(),
        false => name,
    }
}

/// A name without the characters that separate parts of names.
fn layer_name(name: &str) -> String {
    let name = name.trim_matches(['/', '.', ':']).replace(['/', ':', ' '], "_");
    if name.is_empty() { "layer".to_owned() } else { name }
}

impl<'a> Importer<'a> {
    fn nodes(&mut self) -> Result<()> {
        let graph = self.graph;
        // Constants come first: a group of nodes may have some that come later.
        let is_constant = |proto: &NodeProto| proto.op_type == "Constant";
        let (constants, others): (Vec<_>, Vec<_>) =
            graph.node.iter().enumerate().partition(|(_, proto)| is_constant(proto));
        for (index, proto) in constants.into_iter().chain(others) {
            if self.done.contains(&index) {
                continue;
            }
            let node = Node::new(proto, self.opset, self.batch);
            if !node.is_standard() {
                return Err(node.problem("an operator of ONNX", format!("one of `{}`", proto.domain)).into());
            }
            let output = proto.output.first().ok_or_else(|| node.problem("an output", "none"))?;
            if node.op() == "Split" {
                self.split(&node)?;
                node.finish()?;
                continue;
            }
            if let Some(more) = proto.output[1..].iter().find(|name| self.users.contains_key(name.as_str())) {
                return Err(node.problem("one output", format!("`{more}`, which another node uses")).into());
            }
            let value = self.value(&node)?;
            node.finish()?;
            // The value of a node that became a part of this one's layer is there already.
            if let Some(value) = value {
                self.values.insert(output, value);
            }
        }
        Ok(())
    }

    /// The value of a node's output, unless it was inserted under another name.
    fn value(&mut self, node: &Node<'a>) -> Result<Option<Value>> {
        if node.op() == "Constant" {
            return self.constant_node(node).map(|constant| Some(Value::Constant(constant)));
        }
        let inputs = node.inputs().iter().filter(|name| !name.is_empty());
        let mut is_constant = true;
        for name in inputs {
            is_constant &= self.is_constant(name);
        }
        if is_constant {
            return self.folded(node).map(|constant| Some(Value::Constant(constant)));
        }
        if node.op() == "Shape" {
            return self.shape_of(node).map(|constant| Some(Value::Constant(constant)));
        }
        let swallowed = self.elementwise_group(node)?;
        if let Some((output, batch)) = swallowed {
            self.values.insert(output, Value::Batch(batch));
            return Ok(None);
        }
        self.layer(node).map(|batch| Some(Value::Batch(batch)))
    }

    /// The layer of an operator.
    fn layer(&mut self, node: &Node<'a>) -> Result<Batch> {
        match node.op() {
            "Conv" => self.conv(node),
            "ConvTranspose" => self.conv_transpose(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.matmul(node),
            "BatchNormalization" => self.batch_normalization(node),
            "LayerNormalization" => self.layer_normalization(node),
            "InstanceNormalization" | "GroupNormalization" => self.group_normalization(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceMax" => self.global_pool(node),
            "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Sum" | "Mean" => self.arithmetic(node),
            "Concat" => self.concat(node),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Transpose" => self.transpose(node),
            "Pad" => self.pad(node),
            "Slice" => self.slice(node),
            "Gather" => self.gather(node),
            "Resize" | "Upsample" => self.resize(node),
            "Identity" | "Cast" | "Dropout" => self.copy(node),
            _ => self.activation(node),
        }
    }

    /// The input of this index, which is a batch.
    fn batch(&mut self, node: &Node<'a>, index: usize) -> Result<Batch> {
        let batch = self.flat_batch(node, index)?;
        self.ordered(node, batch)
    }

    /// As [`Importer::batch`], or a vector in the order of Kiln's values.
    fn flat_batch(&mut self, node: &Node<'a>, index: usize) -> Result<Batch> {
        let name = node.input(index).ok_or_else(|| node.problem(format!("{} inputs", index + 1), "fewer"))?;
        match self.values.get(name) {
            Some(Value::Batch(batch)) => Ok(batch.clone()),
            _ if self.is_constant(name) => Err(node
                .wrong(&format!("input `{name}`"), "a value that depends on the model's input", "a constant")
                .into()),
            _ => Err(node.wrong(&format!("input `{name}`"), "a value of an earlier node", "none").into()),
        }
    }

    /// A vector in the order of the graph's values.
    fn ordered(&mut self, node: &Node<'a>, batch: Batch) -> Result<Batch> {
        let Some(Flat { sample, axes }) = batch.flat.clone() else { return Ok(batch) };
        let shape: Vec<i64> = sample.iter().map(|&extent| extent as i64).collect();
        let images = self.push(node, layers::Reshape::new(shape), &[batch.node], vec![])?;
        let back: Vec<usize> =
            (0..axes.len()).filter_map(|axis| axes.iter().position(|&place| place == axis)).collect();
        let dims: Vec<usize> = back.iter().map(|place| place + 1).collect();
        let images = self.push(node, layers::Permute::new(dims), &[images], vec![])?;
        let vector = self.push(node, layers::Flatten, &[images], vec![])?;
        Ok(Batch { node: vector, flat: None, ..batch })
    }

    /// The batch with its axes in this order.
    fn arranged(&mut self, node: &Node<'a>, batch: Batch, axes: &[usize]) -> Result<Batch> {
        if batch.axes == axes {
            return Ok(batch);
        }
        if batch.axes.first() != Some(&0) {
            return Err(node.problem("a value whose first axis is the batch", "another order").into());
        }
        let sample = self.sample(&batch);
        let place = |axis: &usize| batch.axes.iter().position(|found| found == axis).unwrap_or(0);
        let dims: Vec<usize> = axes[1..].iter().map(place).collect();
        let is_long = |place: &&usize| sample[**place - 1] > 1;
        let output: Vec<i64> = dims.iter().map(|&place| sample[place - 1] as i64).collect();
        let layer = match dims.iter().filter(is_long).is_sorted() {
            true if output.iter().map(|&extent| extent as usize).eq(sample.iter().copied()) => batch.node,
            true => self.push(node, layers::Reshape::new(output), &[batch.node], vec![])?,
            false => self.push(node, layers::Permute::new(dims), &[batch.node], vec![])?,
        };
        Ok(Batch { node: layer, axes: axes.to_vec(), ..batch })
    }

    /// The extents of a sample in Kiln's order.
    fn sample(&self, batch: &Batch) -> Vec<usize> {
        self.model.network().shape(batch.node).map(|shape| shape.to_vec()).unwrap_or_default()
    }

    /// The extents in the graph's order; that of the batch is [`BATCH`].
    fn dims(&self, batch: &Batch) -> Vec<i64> {
        let extents: Vec<i64> =
            std::iter::once(BATCH).chain(self.sample(batch).iter().map(|&extent| extent as i64)).collect();
        let mut dims = vec![1; batch.axes.len()];
        batch.axes.iter().zip(extents).for_each(|(&axis, extent)| dims[axis] = extent);
        dims
    }

    fn is_constant(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(value) => matches!(value, Value::Constant(_)),
            None => self.tensors.contains_key(name),
        }
    }

    /// The input of this index, if there is one and it is a constant.
    fn optional(&mut self, node: &Node<'a>, index: usize) -> Result<Option<Constant>> {
        let Some(name) = node.input(index) else { return Ok(None) };
        let constant = match (self.values.get(name), self.tensors.get(name)) {
            (Some(Value::Constant(constant)), _) => constant.clone(),
            (None, Some(tensor)) => Constant::read(tensor).map_err(|problem| node.problem("a tensor", problem))?,
            _ => return Err(node.wrong(&format!("input `{name}`"), "a constant", "a value that is computed").into()),
        };
        self.count(node, constant.elements())?;
        Ok(Some(constant))
    }

    /// The number that is the input of this index, if there is one.
    fn number(&mut self, node: &Node<'a>, index: usize) -> Result<Option<f32>> {
        let Some(constant) = self.optional(node, index)? else { return Ok(None) };
        let name = format!("input {index}");
        let number = constant.single();
        let wrong = || node.wrong(&name, "a number", format!("a tensor {:?}", constant.dims));
        number.map(Some).ok_or_else(|| wrong().into())
    }

    /// The input of this index, which is a constant.
    fn constant(&mut self, node: &Node<'a>, index: usize) -> Result<Constant> {
        let constant = self.optional(node, index)?;
        constant.ok_or_else(|| node.problem(format!("{} inputs", index + 1), "fewer").into())
    }

    /// # Errors
    /// If the constants together are too large.
    fn count(&mut self, node: &Node<'a>, values: usize) -> Result<()> {
        self.size = self.size.saturating_add(values);
        match self.size > MOST_VALUES {
            true => Err(node.problem(format!("at most {MOST_VALUES} values of all constants"), "more").into()),
            false => Ok(()),
        }
    }

    fn constant_node(&mut self, node: &Node<'a>) -> Result<Constant> {
        let constant = match node.tensor("value") {
            Some(constant) => constant?,
            None => match (node.float("value_float"), node.int("value_int"), node.ints("value_ints")) {
                (Some(value), ..) => Constant::floats(vec![], vec![value]),
                (_, Some(value), _) => Constant { dims: vec![], ..Constant::list(vec![value]) },
                (_, _, Some(values)) => Constant::list(values),
                _ => {
                    let values = node.floats("value_floats");
                    let values = values.ok_or_else(|| node.problem("a tensor or numbers as value", "none"))?;
                    Constant::floats(vec![values.len()], values)
                }
            },
        };
        self.count(node, constant.elements())?;
        Ok(constant)
    }

    fn folded(&mut self, node: &Node<'a>) -> Result<Constant> {
        let mut inputs = Vec::new();
        for index in 0..node.inputs().len() {
            inputs.push(self.optional(node, index)?);
        }
        let inputs: Vec<Option<&Constant>> = inputs.iter().map(Option::as_ref).collect();
        let unsupported = || node.problem("an operator that Kiln computes of constants", "another");
        let constant = fold::fold(node, &inputs).ok_or_else(unsupported)??;
        self.count(node, constant.elements())?;
        Ok(constant)
    }

    fn shape_of(&mut self, node: &Node<'a>) -> Result<Constant> {
        let batch = self.flat_batch(node, 0)?;
        let dims = self.dims(&batch);
        let rank = dims.len() as i64;
        let place = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
        let (start, end) = (place(node.int("start").unwrap_or(0)), place(node.int("end").unwrap_or(rank)));
        Ok(Constant::list(dims.get(start..end).unwrap_or_default().to_vec()))
    }

    /// The only node that uses a value, unless it is the graph's output.
    fn only_user(&self, name: &str) -> Option<(usize, Node<'a>)> {
        match self.users.get(name).map(Vec::as_slice) {
            Some(&[index]) => Some((index, Node::new(self.graph.node.get(index)?, self.opset, self.batch))),
            _ => None,
        }
        .filter(|(_, user)| user.is_standard())
    }

    /// Appends a layer with the values of its variables, named after the node.
    fn push(
        &mut self,
        node: &Node<'a>,
        layer: impl Layer + 'static,
        inputs: &[LayerNode],
        weights: Vec<Vec<f32>>,
    ) -> Result<LayerNode> {
        self.push_named(node, layer_name(node.name()), layer, inputs, weights)
    }

    fn push_named(
        &mut self,
        node: &Node<'a>,
        name: String,
        layer: impl Layer + 'static,
        inputs: &[LayerNode],
        weights: Vec<Vec<f32>>,
    ) -> Result<LayerNode> {
        let name = unused(&self.names, name);
        self.names.insert(name.clone());
        let output = self.model.apply(layer.named(name), inputs);
        if let Some(error) = self.model.network().broken() {
            return Err(node.problem("what its layer supports", error.to_string()).into());
        }
        self.count(node, weights.iter().map(Vec::len).sum())?;
        self.weights.extend(weights);
        Ok(output)
    }

    /// The model with its weights and the graph's outputs, for which nodes stand in.
    fn finish(mut self, ends: &'a [NodeProto], kept: Kept) -> Result<Model> {
        let mut outputs = Vec::new();
        for end in ends {
            outputs.push(self.output(&Node::new(end, self.opset, self.batch), kept)?);
        }
        let mut model = self.model;
        model.set_output(outputs)?;
        let variables = model.network().variables.iter().zip(self.weights);
        let weights = variables.map(|(variable, values)| Weight {
            name: variable.name.clone(),
            shape: variable.shape.clone(),
            values,
        });
        let weights: Vec<Weight> = weights.collect();
        model.set_weights(&weights)?;
        Ok(model)
    }

    /// The layer of an output of the graph.
    fn output(&mut self, node: &Node<'a>, kept: Kept) -> Result<LayerNode> {
        let Some(Value::Batch(batch)) = self.values.get(node.name()).cloned() else {
            return Err(node.problem("a value that depends on the model's input", "another").into());
        };
        let batch = self.ordered(node, batch)?;
        let is_kept = kept.images && batch.axes == IMAGE || kept.sequences && batch.axes == SEQUENCE;
        let axes = if is_kept { batch.axes.clone() } else { (0..batch.axes.len()).collect() };
        let batch = self.arranged(node, batch, &axes)?;
        // The output of a model is that of a layer.
        match batch.node.input() {
            Some(_) => self.push(node, layers::Identity::default(), &[batch.node], vec![]),
            None => Ok(batch.node),
        }
    }
}

/// The indices of the nodes that the outputs depend on.
fn needed(graph: &GraphProto) -> HashSet<usize> {
    let node_of: HashMap<&str, usize> = (graph.node.iter().enumerate())
        .flat_map(|(index, node)| node.output.iter().map(move |name| (name.as_str(), index)))
        .collect();
    let outputs = graph.output.iter().map(|output| output.name.as_str());
    let (mut needed, mut open) = (HashSet::new(), outputs.collect::<Vec<&str>>());
    while let Some(name) = open.pop() {
        if let Some(&index) = node_of.get(name).filter(|index| needed.insert(**index)) {
            open.extend(graph.node[index].input.iter().map(String::as_str));
        }
    }
    needed
}
