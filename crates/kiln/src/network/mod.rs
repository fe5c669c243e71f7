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

use std::sync::atomic::{AtomicU64, Ordering};

use kiln_graph::{Graph, Shape, Tensor};

use crate::layers::Call;
use crate::optimizers::ParameterGroup;
use crate::{Error, LayerError, Result};

use names::Names;
pub(crate) use names::snake_case;
pub(crate) use nested::{NestedCall, NestedModel, own_name};
pub(crate) use order::{Member, MemberCall, Scope};
pub(crate) use placed::{PlacedLayer, PlacedVariable};

/// The input of a model or the output of one of its layers, which other layers can use as input: Keras' `KerasTensor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    network: u64,
    /// 0 is the model's input, followed by the layers.
    index: usize,
}

impl Node {
    /// The index of the layer with this output; `None` for the model's input.
    pub(crate) fn layer(self) -> Option<usize> {
        self.index.checked_sub(1)
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

/// Layers connected to the model's input or to outputs of earlier layers.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Unique, except for copies.
    id: u64,
    pub class: ModelClass,
    pub name: String,
    /// The name of the input in model files.
    pub input_name: String,
    pub input_shape: Shape,
    /// The calls of layers in order of execution.
    pub layers: Vec<PlacedLayer>,
    /// The models that are layers of this one, or of each other.
    pub nested: Vec<NestedModel>,
    pub variables: Vec<PlacedVariable>,
    /// The model's output.
    pub output: Node,
    broken: Option<LayerError>,
    names: Names,
}

impl Network {
    pub fn new(class: ModelClass, input_shape: Shape) -> Network {
        static NETWORKS: AtomicU64 = AtomicU64::new(0);
        let id = NETWORKS.fetch_add(1, Ordering::Relaxed);
        Network {
            id,
            class,
            name: snake_case(class.name()),
            input_name: "input_layer".to_owned(),
            input_shape,
            layers: Vec::new(),
            nested: Vec::new(),
            variables: Vec::new(),
            output: Node { network: id, index: 0 },
            broken: None,
            names: Names::default(),
        }
    }

    /// The node of the input.
    pub fn input(&self) -> Node {
        Node { network: self.id, index: 0 }
    }

    /// The output of the layer with this index.
    pub fn output_of(&self, layer: usize) -> Node {
        Node { network: self.id, index: layer + 1 }
    }

    /// Sets the output to a node.
    pub fn set_output(&mut self, output: Node) {
        if output != self.output {
            (self.class, self.output) = (ModelClass::Functional, output);
        }
    }

    /// The name of a node's layer, or of the input.
    pub fn name_of(&self, node: Node) -> &str {
        node.layer().map_or(&self.input_name, |index| &self.layers[index].name)
    }

    /// Whether a node belongs to this network.
    pub fn has(&self, node: Node) -> bool {
        node.network == self.id && node.index <= self.layers.len()
    }

    /// Whether another network is a copy of this one in its current state, apart from frozen layers.
    pub fn is_copy_of(&self, other: &Network) -> bool {
        (self.id, self.layers.len(), self.output) == (other.id, other.layers.len(), other.output)
    }

    /// Whether a layer updates statistics itself, like batch normalization.
    pub fn keeps_statistics(&self, placed: &PlacedLayer) -> bool {
        self.variables[placed.variables.clone()].iter().any(|variable| !variable.trainable)
    }

    /// The error of an invalid layer.
    pub fn broken(&self) -> Option<&LayerError> {
        self.broken.as_ref()
    }

    /// The output shape for one sample; the input's if there is no layer or an invalid one.
    pub fn output_shape(&self) -> &Shape {
        self.shape(self.output).unwrap_or(&self.input_shape)
    }

    /// The maximum number of values per sample among the input and all layers' outputs.
    pub fn largest_sample(&self) -> usize {
        let outputs = self.layers.iter().filter_map(|layer| layer.shapes.as_ref()).map(|(_, output)| output);
        outputs.chain([&self.input_shape]).map(|shape| shape.elements()).max().unwrap_or(1)
    }

    /// The shape of a node for one sample; `None` after an invalid layer, and for a node of another network.
    pub fn shape(&self, node: Node) -> Option<&Shape> {
        match node.layer() {
            None => Some(&self.input_shape),
            Some(index) => self.layers.get(index)?.shapes.as_ref().map(|(_, output)| output),
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

    /// Appends all layers after a node to a graph, for a batch `x` of the node's values, in training or inference mode;
    /// returns the output.
    pub fn call(
        &self,
        graph: &mut Graph,
        (entry, x): (Node, Tensor),
        variables: &[Tensor],
        training: bool,
    ) -> Result<Tensor> {
        let mut given = vec![None; self.layers.len() + 1]; // by node
        given[entry.index] = Some(x);
        for (index, placed) in self.layers.iter().enumerate() {
            let inputs: Option<Vec<Tensor>> = placed.inputs.iter().map(|input| given[input.index]).collect();
            let Some(inputs) = inputs.filter(|_| given[index + 1].is_none()) else { continue };
            graph.scope(placed.name.clone());
            let (trainable, stream) = (placed.trainable, index as u32 + 1);
            let variables = &variables[placed.variables.clone()];
            let training = placed.training.unwrap_or(training);
            let mut call = Call { graph, inputs: &inputs, variables, training, trainable, stream };
            given[index + 1] = Some(placed.layer.call(&mut call)?);
        }
        given[self.output.index].ok_or_else(|| Error::Empty(self.name.clone()))
    }
}
