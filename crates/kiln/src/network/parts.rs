//! Parts of a network: the dependencies of a node, and frozen layers.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::build::NewCall;
use super::{ModelClass, NestedCall, NestedModel, Network, Node, PlacedLayer};
use crate::layers::Named;

impl Network {
    /// A network of the layers that some nodes depend on, with these nodes as outputs, and the indices of its variables in
    /// this one. It has the inputs that they depend on. A model of which it only has a part becomes layers of the network:
    /// `model_layer`.
    pub fn up_to(&self, outputs: &[Node]) -> (Network, Vec<usize>) {
        let needed = self.needed_for(outputs);
        let connected = || needed.iter().flat_map(|&index| &self.layers[index].inputs).chain(outputs);
        let has = |node: &Node| match node.layer() {
            Some(layer) => needed.contains(&layer),
            None => connected().any(|other| other == node),
        };
        let inputs: Vec<Node> = self.input_nodes().into_iter().filter(has).collect();
        let own = inputs.iter().filter_map(|node| Some(self.inputs[node.input()?].clone())).collect();
        let mut part = Network::with_inputs(ModelClass::Functional, own);
        part.name.clone_from(&self.name);
        let whole = |call: &&NestedCall| {
            call.layers.clone().all(|layer| needed.contains(&layer)) && call.inputs.iter().all(has)
        };
        let partial = |call: &NestedCall| !whole(&call) && call.layers.clone().any(|layer| needed.contains(&layer));
        let kept =
            |model: &&NestedModel| model.calls.iter().any(|call| whole(&call)) && !model.calls.iter().any(partial);
        let kept: Vec<&NestedModel> = self.nested.iter().filter(kept).collect();
        let paths: HashSet<&str> = kept.iter().map(|model| model.name.as_str()).collect();
        let mut variables = Vec::new();
        let mut new: HashMap<Node, Node> = inputs.into_iter().zip(part.input_nodes()).collect();
        let mut firsts: HashMap<usize, usize> = HashMap::new();
        for &index in &needed {
            let placed = &self.layers[index];
            let inputs: Vec<Node> = placed.inputs.iter().filter_map(|input| new.get(input).copied()).collect();
            let PlacedLayer { name, layer, first, trainable, training, .. } = placed.clone();
            let layer = Named { name: None, layer, trainable, training };
            let call = NewCall { name: within(&name, &paths), layer, first: firsts.get(&first).copied() };
            let is_first = call.first.is_none();
            new.insert(self.output_of(index), part.place(call, &inputs));
            if is_first {
                firsts.insert(first, part.layers.len() - 1);
                let start = variables.len();
                variables.extend(placed.variables.clone());
                for (new, &old) in part.variables[start..].iter_mut().zip(&variables[start..]) {
                    new.group = self.variables[old].group;
                }
            }
        }
        let at = |node: Node| new.get(&node).copied().unwrap_or(part.input());
        let first_layer = |call: &NestedCall| at(self.output_of(call.layers.start)).layer().unwrap_or(0);
        let models = kept.iter().map(|&model| {
            let calls = model.calls.iter().filter(whole).map(|call| call.moved(at, first_layer(call))).collect();
            NestedModel { name: within(&model.name, &paths), calls, ..model.clone() }
        });
        let models: Vec<NestedModel> = models.collect();
        let outputs = outputs.iter().map(|&output| at(output)).collect();
        models.iter().for_each(|model| part.names.insert(&model.name));
        (part.nested, part.outputs) = (models, outputs);
        (part, variables)
    }

    /// The layers that some nodes depend on, in execution order.
    pub(super) fn needed_for(&self, nodes: &[Node]) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = nodes.to_vec();
        while let Some(node) = open.pop() {
            if let Some(index) = node.layer().filter(|&index| needed.insert(index)) {
                open.extend(&self.layers[index].inputs);
            }
        }
        needed
    }

    /// Each batch normalization that is frozen while the layer before it is not, or the reverse: the names of that layer
    /// and of the normalization.
    pub fn split_normalizations(&self) -> Vec<(&str, &str)> {
        let split = |placed: &'_ PlacedLayer| {
            let before = &self.layers[placed.inputs.first()?.layer()?];
            let split = before.trainable != placed.trainable && !before.variables.is_empty();
            (placed.layer.class_name() == "BatchNormalization" && split).then_some(before)
        };
        self.layers.iter().filter_map(|placed| Some((&*split(placed)?.name, &*placed.name))).collect()
    }

    /// The last node before all trainable layers and all outputs: its value for a sample is the same in every step. The first
    /// input if there is no other.
    pub fn frozen_up_to(&self) -> Node {
        let changes = |index: usize| {
            let placed = &self.layers[index];
            let random = placed.layer.is_random() && placed.training != Some(false);
            (placed.trainable && !placed.variables.is_empty()) || random
        };
        let all_that_leads_to = |node: Node| self.needed_for(&[node]);
        let is_a_cut = |node: &Node| {
            let before = all_that_leads_to(*node);
            let joins = |(index, placed): (usize, &PlacedLayer)| {
                let apart = |input: &Node| input == node || input.layer().is_some_and(|index| !before.contains(&index));
                before.contains(&index) || placed.inputs.iter().all(apart)
            };
            let follows =
                |output: &Node| output == node || output.layer().is_some_and(|index| !before.contains(&index));
            let whole = self.layers.iter().enumerate().all(joins) && self.outputs.iter().all(follows);
            !before.iter().any(|&index| changes(index)) && whole
        };
        let nodes = (0..self.layers.len()).rev().map(|index| self.output_of(index));
        nodes.filter(is_a_cut).max_by_key(|&node| all_that_leads_to(node).len()).unwrap_or(self.input())
    }
}

/// A path with `_` in place of `/` after models that are not among these.
fn within(path: &str, models: &HashSet<&str>) -> String {
    let separator = |(place, character)| match character {
        '/' if !models.contains(&path[..place]) => '_',
        other => other,
    };
    path.char_indices().map(separator).collect()
}
