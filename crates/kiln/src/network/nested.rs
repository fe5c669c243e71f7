//! Models within a model, and further calls of shared layers. The layers of a model within are layers of the whole
//! network, under paths: `model/layer`.

use std::ops::Range;

use super::build::NewCall;
use super::{ModelClass, Network, Node, PlacedLayer};
use crate::LayerError;
use crate::layers::Named;
use kiln_graph::Shape;

/// A model that is a layer of another one.
#[derive(Clone, Debug)]
pub(crate) struct NestedModel {
    /// Its path, as of a layer.
    pub name: String,
    pub class: ModelClass,
    /// The name of its input in model files.
    pub input_name: String,
    pub input_shape: Shape,
    /// At least one.
    pub calls: Vec<NestedCall>,
}

/// A call of a model within another one.
#[derive(Clone, Debug)]
pub(crate) struct NestedCall {
    pub input: Node,
    /// The calls of its layers.
    pub layers: Range<usize>,
    pub output: Node,
    /// The `training` argument, which its layers have unless they have their own.
    training: Option<bool>,
}

impl NestedModel {
    /// Its name within the model around it.
    pub fn own_name(&self) -> &str {
        own_name(&self.name)
    }

    /// The path of the model around it; empty for the network.
    pub fn parent(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    /// Keras' name of its class.
    pub fn class_name(&self) -> &'static str {
        self.class.name()
    }
}

impl NestedCall {
    /// This call in a network in which nodes and layers have other places.
    pub(super) fn moved(&self, node: impl Fn(Node) -> Node, first_layer: usize) -> NestedCall {
        let layers = first_layer..first_layer + self.layers.len();
        NestedCall { input: node(self.input), layers, output: node(self.output), training: self.training }
    }
}

/// The last part of a path.
pub(crate) fn own_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Network {
    /// Appends copies of a model's layers as one layer with the model's name; its output becomes the network's.
    /// [`Network::check`] reports a model that does not fit.
    pub fn push_model(&mut self, inner: &Network, input: Node, training: Option<bool>) -> Node {
        if input != self.output {
            self.class = ModelClass::Functional;
        }
        if let Some(error) = self.misfit_of(inner, input) {
            self.broken.get_or_insert(error);
        }
        let (name, start) = (&inner.name, self.layers.len());
        self.names.insert(name);
        let (network, path) = (self.id, |own: &str| format!("{name}/{own}"));
        let at = |node: Node| node.layer().map_or(input, |index| Node { network, index: start + index + 1 });
        for (index, placed) in inner.layers.iter().enumerate() {
            let inputs: Vec<Node> = placed.inputs.iter().copied().map(at).collect();
            let first = (placed.first != index).then_some(start + placed.first);
            let training = placed.training.or(training);
            let PlacedLayer { layer, trainable, .. } = placed.clone();
            let layer = Named { name: None, layer, trainable, training };
            self.place(NewCall { name: path(&placed.name), layer, first }, &inputs);
            if first.is_none() {
                let new = self.layers[start + index].variables.clone();
                let old = &inner.variables[placed.variables.clone()];
                for (new, old) in self.variables[new].iter_mut().zip(old) {
                    new.group = old.group;
                }
            }
        }
        for model in &inner.nested {
            let calls = model.calls.iter().map(|call| call.moved(at, start + call.layers.start)).collect();
            self.nested.push(NestedModel { name: path(&model.name), calls, ..model.clone() });
        }
        let (layers, output) = (start..self.layers.len(), at(inner.output));
        self.nested.push(NestedModel {
            name: name.clone(),
            class: inner.class,
            input_name: inner.input_name.clone(),
            input_shape: inner.input_shape.clone(),
            calls: vec![NestedCall { input, layers, output, training }],
        });
        self.output = output;
        output
    }

    /// Calls a layer or a model of the network again, with the same weights; the output becomes the network's.
    /// [`Network::check`] reports an unknown name, and inputs that do not fit.
    pub fn push_again(&mut self, name: &str, inputs: &[Node], training: Option<bool>) -> Node {
        self.class = ModelClass::Functional;
        if name.contains('/') {
            let found = "one inside of a nested model; call that model again, or use a layer of this model".to_owned();
            self.broken.get_or_insert(error(name, "shared layer", "a layer of this model".to_owned(), found));
            return self.output;
        }
        if inputs.iter().any(|&input| self.is_inside(input)) {
            self.broken.get_or_insert(error(name, "shared layer", INPUTS.to_owned(), INSIDE.to_owned()));
        }
        if let Some(model) = self.nested.iter().position(|model| model.name == name) {
            return self.push_model_again(model, inputs, training);
        }
        let Some(first) = self.layers.iter().position(|placed| placed.name == name) else {
            let found = "no layer of this name".to_owned();
            self.broken.get_or_insert(error(name, "shared layer", "a layer of this model".to_owned(), found));
            return self.output;
        };
        let PlacedLayer { name, layer, trainable, .. } = self.layers[first].clone();
        let layer = Named { name: None, layer, trainable, training };
        self.place(NewCall { name, layer, first: Some(first) }, inputs)
    }

    fn push_model_again(&mut self, model: usize, inputs: &[Node], training: Option<bool>) -> Node {
        let NestedModel { name, input_shape, calls, .. } = self.nested[model].clone();
        let first = &calls[0];
        let class = self.nested[model].class_name();
        let input = inputs.first().copied().unwrap_or(self.input());
        let expected = if inputs.len() != 1 {
            Some(("one input".to_owned(), format!("{} inputs", inputs.len())))
        } else if !self.has(input) {
            Some(("a node of this model".to_owned(), "one of another model".to_owned()))
        } else if self.shape(input).is_some_and(|shape| *shape != input_shape) {
            let found = self.shape(input).map(Shape::to_string).unwrap_or_default();
            Some((format!("an input {input_shape}"), format!("an input {found}")))
        } else if first.training != training {
            let shown = |training: Option<bool>| training.map_or("none".to_owned(), |training| training.to_string());
            Some((format!("the `training` argument of its first call ({})", shown(first.training)), shown(training)))
        } else {
            None
        };
        if let Some((expected, found)) = expected {
            self.broken.get_or_insert(error(&name, class, expected, found));
        }
        let (network, old, new) = (self.id, first.layers.clone(), self.layers.len());
        let at = |node: Node| match node.layer().filter(|layer| old.contains(layer)) {
            Some(layer) => Node { network, index: layer - old.start + new + 1 },
            None => input,
        };
        for index in old.clone() {
            let PlacedLayer { name, layer, first, inputs, trainable, training, .. } = self.layers[index].clone();
            let layer = Named { name: None, layer, trainable, training };
            let inputs: Vec<Node> = inputs.into_iter().map(at).collect();
            self.place(NewCall { name, layer, first: Some(first) }, &inputs);
        }
        let within = format!("{name}/");
        for model in self.nested.iter_mut().filter(|model| model.name.starts_with(&within)) {
            let calls: Vec<NestedCall> =
                model.calls.iter().filter(|call| old.contains(&call.layers.start)).cloned().collect();
            model.calls.extend(calls.iter().map(|call| call.moved(at, call.layers.start - old.start + new)));
        }
        let output = at(first.output);
        self.nested[model].calls.push(NestedCall { input, layers: new..self.layers.len(), output, training });
        self.output = output;
        output
    }

    /// Whether a node is inside of a model within the network, where no layer outside of it can be connected.
    pub fn is_inside(&self, node: Node) -> bool {
        let placed = node.layer().filter(|_| self.has(node)).and_then(|index| self.layers.get(index));
        let inside = placed.is_some_and(|placed| placed.name.contains('/'));
        let calls = || self.nested.iter().filter(|model| model.parent().is_empty()).flat_map(|model| &model.calls);
        inside && !calls().any(|call| call.output == node)
    }

    fn misfit_of(&self, inner: &Network, input: Node) -> Option<LayerError> {
        if let Some(error) = &inner.broken {
            return Some(LayerError { layer: format!("{}/{}", inner.name, error.layer), ..error.clone() });
        }
        let misfit = |expected: String, found: String| Some(error(&inner.name, inner.class.name(), expected, found));
        let name = &inner.name;
        if name.is_empty() || name.contains('/') || self.names.contains(name) {
            return misfit("a unique name without `/`".to_owned(), format!("`{name}`"));
        }
        if !self.has(input) || self.is_inside(input) {
            let found = if self.has(input) { INSIDE } else { FOREIGN };
            return misfit(INPUTS.to_owned(), found.to_owned());
        }
        let found = self.shape(input).filter(|found| **found != inner.input_shape)?;
        misfit(format!("an input {}", inner.input_shape), format!("an input {found}"))
    }
}

/// The nodes that a layer can be connected to, and others.
pub(super) const INPUTS: &str = "this model's input or outputs of its layers as inputs";
pub(super) const FOREIGN: &str = "a node of another model";
pub(super) const INSIDE: &str =
    "a node inside of a nested model; use outputs of this model's own layers, or `Model::sub_model` of that model";

fn error(name: &str, class_name: &'static str, expected: String, found: String) -> LayerError {
    LayerError { layer: name.to_owned(), class_name, argument: None, expected, found }
}
