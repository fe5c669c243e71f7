//! Parts of a network: the dependencies of a node, and frozen layers.

use std::collections::BTreeSet;

use super::{ModelClass, Network, Node, PlacedLayer};
use crate::layers::Named;

impl Network {
    /// A network of the layers that a node depends on, with this node as output, and the indices of its variables in this one.
    pub fn up_to(&self, output: Node) -> (Network, Vec<usize>) {
        let needed = self.needed_for(output);
        let mut part = Network::new(ModelClass::Functional, self.input_shape.clone());
        part.name.clone_from(&self.name);
        part.input_name.clone_from(&self.input_name);
        let mut variables = Vec::new();
        let mut new = vec![None; self.layers.len() + 1]; // by node
        new[0] = Some(part.input());
        for &index in &needed {
            let placed = &self.layers[index];
            let inputs: Vec<Node> = placed.inputs.iter().filter_map(|input| new[input.index]).collect();
            let PlacedLayer { name, layer, trainable, training, .. } = placed.clone();
            let layer = Named { name: Some(name), layer, trainable, training };
            new[index + 1] = Some(part.push_on(layer, &inputs));
            let first = variables.len();
            variables.extend(placed.variables.clone());
            for (new, &old) in part.variables[first..].iter_mut().zip(&variables[first..]) {
                new.group = self.variables[old].group;
            }
        }
        part.output = new[output.index].unwrap_or(part.output);
        (part, variables)
    }

    /// The layers that a node depends on, in execution order.
    pub(super) fn needed_for(&self, output: Node) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = vec![output];
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

    /// The last node before all trainable layers: its value for a sample is the same in every step. The input if there is no
    /// other.
    pub fn frozen_up_to(&self) -> Node {
        let changes = |index: usize| {
            let placed = &self.layers[index];
            let random = placed.layer.is_random() && placed.training != Some(false);
            (placed.trainable && !placed.variables.is_empty()) || random
        };
        let all_that_leads_to = |node: Node| self.needed_for(node);
        let is_a_cut = |node: &Node| {
            let before = all_that_leads_to(*node);
            let joins = |(index, placed): (usize, &PlacedLayer)| {
                let apart = |input: &Node| input == node || input.layer().is_some_and(|index| !before.contains(&index));
                before.contains(&index) || placed.inputs.iter().all(apart)
            };
            !before.iter().any(|&index| changes(index)) && self.layers.iter().enumerate().all(joins)
        };
        let nodes = (0..self.layers.len()).rev().map(|index| self.output_of(index));
        nodes.filter(is_a_cut).max_by_key(|&node| all_that_leads_to(node).len()).unwrap_or(self.input())
    }
}
