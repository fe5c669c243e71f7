//! Models within a model, and further calls of shared layers. The layers of a model within are layers of the whole
//! network, under paths: `model/layer`.

use std::ops::Range;

use super::build::NewCall;
use super::{Input, ModelClass, Network, Node, PlacedLayer, Source};
use crate::LayerError;
use crate::layers::Named;

/// A model that is a layer of another one.
#[derive(Clone, Debug)]
pub(crate) struct NestedModel {
    /// Its path, as of a layer.
    pub name: String,
    pub class: ModelClass,
    pub inputs: Vec<Input>,
    /// At least one.
    pub calls: Vec<NestedCall>,
}

/// A call of a model within another one.
#[derive(Clone, Debug)]
pub(crate) struct NestedCall {
    pub inputs: Vec<Node>,
    /// The calls of its layers.
    pub layers: Range<usize>,
    pub outputs: Vec<Node>,
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
        let [inputs, outputs] = [&self.inputs, &self.outputs].map(|nodes| nodes.iter().map(|&at| node(at)).collect());
        NestedCall { inputs, layers, outputs, training: self.training }
    }

    /// Whether a node is an output that one of its layers computes.
    pub(super) fn computes(&self, node: Node) -> bool {
        node.layer().is_some_and(|layer| self.layers.contains(&layer)) && self.outputs.contains(&node)
    }
}

/// The last part of a path.
pub(crate) fn own_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Network {
    /// Appends copies of a model's layers as one layer with the model's name; its outputs become the network's.
    /// [`Network::check`] reports a model that does not fit.
    pub fn push_model(&mut self, inner: &Network, inputs: &[Node], training: Option<bool>) -> Vec<Node> {
        if inputs != self.outputs {
            self.class = ModelClass::Functional;
        }
        if let Some(error) = self.misfit_of(inner, inputs) {
            self.broken.get_or_insert(error);
        }
        let (name, start) = (&inner.name, self.layers.len());
        self.names.insert(name);
        let path = |own: &str| format!("{name}/{own}");
        let (network, fallback) = (self.id, self.input());
        let at = |node: Node| match node.source {
            Source::Input(index) => inputs.get(index).copied().unwrap_or(fallback),
            Source::Layer(index) => Node { network, source: Source::Layer(start + index) },
        };
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
        let layers = start..self.layers.len();
        let outputs: Vec<Node> = inner.outputs.iter().copied().map(at).collect();
        self.nested.push(NestedModel {
            name: name.clone(),
            class: inner.class,
            inputs: inner.inputs.clone(),
            calls: vec![NestedCall { inputs: inputs.to_vec(), layers, outputs: outputs.clone(), training }],
        });
        self.outputs.clone_from(&outputs);
        outputs
    }

    /// Calls a layer or a model of the network again, with the same weights; the outputs become the network's.
    /// [`Network::check`] reports an unknown name, and inputs that do not fit.
    pub fn push_again(&mut self, name: &str, inputs: &[Node], training: Option<bool>) -> Vec<Node> {
        self.class = ModelClass::Functional;
        if name.contains('/') {
            let found = "one inside of a nested model; call that model again, or use a layer of this model".to_owned();
            self.broken.get_or_insert(error(name, "shared layer", "a layer of this model".to_owned(), found));
            return self.outputs.clone();
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
            return self.outputs.clone();
        };
        let PlacedLayer { name, layer, trainable, .. } = self.layers[first].clone();
        let layer = Named { name: None, layer, trainable, training };
        vec![self.place(NewCall { name, layer, first: Some(first) }, inputs)]
    }

    fn push_model_again(&mut self, model: usize, inputs: &[Node], training: Option<bool>) -> Vec<Node> {
        let NestedModel { name, inputs: own, calls, .. } = self.nested[model].clone();
        let first = &calls[0];
        let class = self.nested[model].class_name();
        let misshapen = self.misshapen(&own, inputs);
        let expected = if inputs.iter().any(|&input| !self.has(input)) {
            Some(("nodes of this model".to_owned(), "one of another model".to_owned()))
        } else if misshapen.is_some() {
            misshapen
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
        let fallback = self.input();
        let at = |node: Node| match node.layer().filter(|layer| old.contains(layer)) {
            Some(layer) => Node { network, source: Source::Layer(layer - old.start + new) },
            None => {
                let place = first.inputs.iter().position(|&input| input == node);
                place.and_then(|place| inputs.get(place)).copied().unwrap_or(fallback)
            }
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
        let outputs: Vec<Node> = first.outputs.iter().copied().map(at).collect();
        let layers = new..self.layers.len();
        let call = NestedCall { inputs: inputs.to_vec(), layers, outputs: outputs.clone(), training };
        self.nested[model].calls.push(call);
        self.outputs.clone_from(&outputs);
        outputs
    }

    /// Whether a node is inside of a model within the network, where no layer outside of it can be connected.
    pub fn is_inside(&self, node: Node) -> bool {
        let placed = node.layer().filter(|_| self.has(node)).and_then(|index| self.layers.get(index));
        let inside = placed.is_some_and(|placed| placed.name.contains('/'));
        let calls = || self.nested.iter().filter(|model| model.parent().is_empty()).flat_map(|model| &model.calls);
        inside && !calls().any(|call| call.outputs.contains(&node))
    }

    fn misfit_of(&self, inner: &Network, inputs: &[Node]) -> Option<LayerError> {
        if let Some(error) = &inner.broken {
            return Some(LayerError { layer: format!("{}/{}", inner.name, error.layer), ..error.clone() });
        }
        let misfit = |expected: String, found: String| Some(error(&inner.name, inner.class.name(), expected, found));
        let name = &inner.name;
        if name.is_empty() || name.contains('/') || self.names.contains(name) {
            return misfit("a unique name without `/`".to_owned(), format!("`{name}`"));
        }
        if let Some(&input) = inputs.iter().find(|&&input| !self.has(input) || self.is_inside(input)) {
            let found = if self.has(input) { INSIDE } else { FOREIGN };
            return misfit(INPUTS.to_owned(), found.to_owned());
        }
        if (1..inputs.len()).any(|index| inputs[..index].contains(&inputs[index])) {
            let expected = "different nodes as inputs in the model's first call".to_owned();
            return misfit(expected, "the same node as several inputs".to_owned());
        }
        let (expected, found) = self.misshapen(&inner.inputs, inputs)?;
        misfit(expected, found)
    }

    /// The expected and found inputs of a model within, unless these nodes have their number and shapes.
    fn misshapen(&self, own: &[Input], inputs: &[Node]) -> Option<(String, String)> {
        if own.len() != inputs.len() {
            return Some((count(own.len()), count(inputs.len())));
        }
        let pairs = own.iter().zip(inputs).filter_map(|(own, &input)| Some((own, self.shape(input)?)));
        let (own, found) = pairs.into_iter().find(|(own, found)| own.shape != **found)?;
        Some((format!("an input {}", own.shape), format!("an input {found}")))
    }
}

/// `one input`, `2 inputs`.
fn count(inputs: usize) -> String {
    match inputs {
        1 => "one input".to_owned(),
        _ => format!("{inputs} inputs"),
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
