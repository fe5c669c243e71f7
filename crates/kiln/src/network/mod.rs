//! The layers of a network in execution order, with their connections, shapes and variables.

mod build;
mod check;
mod names;
mod nested;
mod order;
mod parts;
mod placed;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_graph::{Graph, Shape, Tensor};

use crate::layers::Call;
use crate::optimizers::ParameterGroup;
use crate::{Error, LayerError, Result};

use names::Names;
pub(crate) use names::snake_case;
pub(crate) use nested::{NestedCall, NestedModel, own_name};
pub(crate) use order::{Member, MemberCall, Output, Scope};
pub(crate) use placed::{PlacedLayer, PlacedVariable};

/// An input of a model or the output of one of its layers, which other layers can use as input: Keras' `KerasTensor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    network: u64,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// The index of an input.
    Input(usize),
    /// The index of a layer's call.
    Layer(usize),
}

impl Node {
    /// The index of the layer with this output; `None` for an input of the model.
    pub(crate) fn layer(self) -> Option<usize> {
        match self.source {
            Source::Input(_) => None,
            Source::Layer(index) => Some(index),
        }
    }

    /// The index of the model's input; `None` for the output of a layer.
    pub(crate) fn input(self) -> Option<usize> {
        match self.source {
            Source::Input(index) => Some(index),
            Source::Layer(_) => None,
        }
    }
}

impl AsRef<[Node]> for Node {
    fn as_ref(&self) -> &[Node] {
        std::slice::from_ref(self)
    }
}

/// Keras' class of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelClass {
    /// A sequence of layers, in which the input does not count as a layer.
    Sequential,
    /// A graph, whose first layer is its input.
    Functional,
}

impl ModelClass {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            ModelClass::Sequential => "Sequential",
            ModelClass::Functional => "Functional",
        }
    }
}

/// An input of a network, or of a model within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// The name in model files.
    pub name: String,
    /// The shape of one sample.
    pub shape: Shape,
}

/// Layers connected to the model's inputs or to outputs of earlier layers.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Unique, except for copies.
    id: u64,
    pub class: ModelClass,
    pub name: String,
    /// At least one.
    pub inputs: Vec<Input>,
    /// The calls of layers in order of execution.
    pub layers: Vec<PlacedLayer>,
    /// The models that are layers of this one, or of each other.
    pub nested: Vec<NestedModel>,
    pub variables: Vec<PlacedVariable>,
    /// The model's outputs: at least one.
    pub outputs: Vec<Node>,
    broken: Option<LayerError>,
    names: Names,
}

impl Network {
    /// A network without layers, with one input.
    pub fn new(class: ModelClass, input_shape: Shape) -> Network {
        let name = "input_layer".to_owned();
        Network::with_inputs(class, vec![Input { name, shape: input_shape }])
    }

    /// A network without layers, with at least one input.
    pub fn with_inputs(class: ModelClass, inputs: Vec<Input>) -> Network {
        static NETWORKS: AtomicU64 = AtomicU64::new(0);
        let id = NETWORKS.fetch_add(1, Ordering::Relaxed);
        Network {
            id,
            class,
            name: snake_case(class.name()),
            inputs,
            layers: Vec::new(),
            nested: Vec::new(),
            variables: Vec::new(),
            outputs: vec![Node { network: id, source: Source::Input(0) }],
            broken: None,
            names: Names::default(),
        }
    }

    /// Adds an input.
    pub fn add_input(&mut self, input: Input) -> Node {
        self.class = ModelClass::Functional;
        self.inputs.push(input);
        self.input_at(self.inputs.len() - 1)
    }

    /// The node of the first input.
    pub fn input(&self) -> Node {
        self.input_at(0)
    }

    /// The nodes of all inputs.
    pub fn input_nodes(&self) -> Vec<Node> {
        (0..self.inputs.len()).map(|index| self.input_at(index)).collect()
    }

    fn input_at(&self, index: usize) -> Node {
        Node { network: self.id, source: Source::Input(index) }
    }

    /// The output of the layer with this index.
    pub fn output_of(&self, layer: usize) -> Node {
        Node { network: self.id, source: Source::Layer(layer) }
    }

    /// The first output.
    pub fn output(&self) -> Node {
        self.outputs.first().copied().unwrap_or(self.input())
    }

    /// Sets the outputs to some nodes.
    pub fn set_outputs(&mut self, outputs: &[Node]) {
        if outputs != self.outputs {
            (self.class, self.outputs) = (ModelClass::Functional, outputs.to_vec());
        }
    }

    /// The name of a node's layer, or of the input.
    pub fn name_of(&self, node: Node) -> &str {
        match node.source {
            Source::Input(index) => &self.inputs[index].name,
            Source::Layer(index) => &self.layers[index].name,
        }
    }

    /// Keras' names of the outputs: those of the layers and nested models that compute them.
    pub fn output_names(&self) -> Vec<&str> {
        let whole = |node: Node| {
            let mut models = self.nested.iter().filter(|model| model.parent().is_empty());
            models.find(|model| model.calls.iter().any(|call| call.computes(node)))
        };
        let name = |&node: &Node| whole(node).map_or(self.name_of(node), |model| &model.name);
        self.outputs.iter().map(name).collect()
    }

    /// Whether a node belongs to this network.
    pub fn has(&self, node: Node) -> bool {
        let exists = match node.source {
            Source::Input(index) => index < self.inputs.len(),
            Source::Layer(index) => index < self.layers.len(),
        };
        node.network == self.id && exists
    }

    /// Whether another network is a copy of this one in its current state, apart from frozen layers.
    pub fn is_copy_of(&self, other: &Network) -> bool {
        (self.id, self.layers.len(), self.inputs.len()) == (other.id, other.layers.len(), other.inputs.len())
            && self.outputs == other.outputs
    }

    /// Whether a layer updates statistics itself, like batch normalization.
    pub fn keeps_statistics(&self, placed: &PlacedLayer) -> bool {
        self.variables[placed.variables.clone()].iter().any(|variable| !variable.trainable)
    }

    /// The error of an invalid layer.
    pub fn broken(&self) -> Option<&LayerError> {
        self.broken.as_ref()
    }

    /// The shape of each output for one sample; the first input's in place of an invalid layer's.
    pub fn output_shapes(&self) -> impl ExactSizeIterator<Item = &Shape> {
        self.outputs.iter().map(|&output| self.shape(output).unwrap_or(&self.inputs[0].shape))
    }

    /// The maximum number of values per sample among the inputs and all layers' outputs.
    pub fn largest_sample(&self) -> usize {
        let outputs = self.layers.iter().filter_map(|layer| layer.shapes.as_ref()).map(|(_, output)| output);
        let inputs = self.inputs.iter().map(|input| &input.shape);
        outputs.chain(inputs).map(|shape| shape.elements()).max().unwrap_or(1)
    }

    /// The shape of a node for one sample; `None` after an invalid layer, and for a node of another network.
    pub fn shape(&self, node: Node) -> Option<&Shape> {
        match node.source {
            Source::Input(index) => self.inputs.get(index).map(|input| &input.shape),
            Source::Layer(index) => self.layers.get(index)?.shapes.as_ref().map(|(_, output)| output),
        }
    }

    /// The total number of values of all variables.
    pub fn values(&self) -> usize {
        self.variables.last().map_or(0, |last| last.range().end)
    }

    /// Sets whether training changes the variables of a layer.
    pub fn set_trainable(&mut self, layer: usize, trainable: bool) {
        let first = self.layers[layer].first;
        self.layers[first..]
            .iter_mut()
            .filter(|placed| placed.first == first)
            .for_each(|placed| placed.trainable = trainable);
    }

    /// Whether the optimizer changes a variable.
    pub fn trains(&self, variable: &PlacedVariable) -> bool {
        variable.trainable && self.layers.get(variable.layer).is_some_and(|layer| layer.trainable)
    }

    /// The variables with their own learning rate factor or weight decay, by name.
    pub fn groups(&self) -> Vec<(String, ParameterGroup)> {
        let own = self.variables.iter().filter(|variable| variable.group != ParameterGroup::default());
        own.map(|variable| (variable.name.clone(), variable.group)).collect()
    }

    /// Appends all layers after some nodes to a graph, for a batch of values of each of these nodes, in training or
    /// inference mode; returns the outputs.
    pub fn call(
        &self,
        graph: &mut Graph,
        entries: &[(Node, Tensor)],
        variables: &[Tensor],
        training: bool,
    ) -> Result<Vec<Tensor>> {
        let mut given: HashMap<Node, Tensor> = entries.iter().copied().collect();
        for (index, placed) in self.layers.iter().enumerate() {
            let output = self.output_of(index);
            let inputs: Option<Vec<Tensor>> = placed.inputs.iter().map(|input| given.get(input).copied()).collect();
            let Some(inputs) = inputs.filter(|_| !given.contains_key(&output)) else { continue };
            graph.scope(placed.name.clone());
            let (trainable, stream) = (placed.trainable, index as u32 + 1);
            let variables = &variables[placed.variables.clone()];
            let training = placed.training.unwrap_or(training);
            let mut call = Call { graph, inputs: &inputs, variables, training, trainable, stream };
            given.insert(output, placed.layer.call(&mut call)?);
        }
        let output = |node: &Node| given.get(node).copied().ok_or_else(|| Error::Empty(self.name.clone()));
        self.outputs.iter().map(output).collect()
    }
}
