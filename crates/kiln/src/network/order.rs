//! A model as Keras sees it: layers in Keras' order, each with its calls. A model within it is one of its layers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::{Input, ModelClass, NestedCall, Network, Node, PlacedLayer, own_name};

/// A layer of a model, in Keras' sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Member {
    /// An input of the model: its index.
    Input(usize),
    /// A layer: the index of its first call.
    Layer(usize),
    /// A model: its index among the network's.
    Model(usize),
}

/// A call of a member.
#[derive(Clone, Debug)]
pub(crate) struct MemberCall {
    pub member: Member,
    /// The number of earlier calls of the member within the model.
    pub number: usize,
    /// Its inputs.
    pub inputs: Vec<Output>,
    /// Its outputs: one, but for a model within.
    pub outputs: Vec<Node>,
}

/// An output of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// The index of the call among those of the model.
    pub call: usize,
    /// The index among the outputs of the call.
    pub index: usize,
}

/// The network, or a model within it.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The members in Keras' order, with the inputs.
    pub members: Vec<Member>,
    /// All calls in order of execution; the first ones are the inputs.
    pub calls: Vec<MemberCall>,
    /// The model's inputs.
    pub inputs: Vec<Output>,
    /// The model's outputs.
    pub outputs: Vec<Output>,
}

impl Network {
    /// The network (`None`), or the first call of a model within it.
    pub fn scope(&self, model: Option<usize>) -> Scope {
        let model = model.map(|model| &self.nested[model]);
        let (layers, inputs, outputs) = match model.map(|model| &model.calls[0]) {
            None => (0..self.layers.len(), self.input_nodes(), &self.outputs),
            Some(call) => (call.layers.clone(), call.inputs.clone(), &call.outputs),
        };
        let path = model.map_or("", |model| &model.name);
        let children = self.nested.iter().enumerate().filter(|(_, child)| child.parent() == path);
        let children = children.flat_map(|(index, child)| child.calls.iter().map(move |call| (index, call)));
        let children: BTreeMap<usize, (usize, &NestedCall)> =
            children.map(|(index, call)| (call.layers.start, (index, call))).collect(); // by first layer
        let input = |(index, &node): (usize, &Node)| MemberCall {
            member: Member::Input(index),
            number: 0,
            inputs: Vec::new(),
            outputs: vec![node],
        };
        let mut calls: Vec<MemberCall> = inputs.iter().enumerate().map(input).collect();
        let of_input = |call: usize| Output { call, index: 0 };
        let mut places: HashMap<Node, Output> =
            inputs.iter().enumerate().map(|(call, &node)| (node, of_input(call))).collect();
        let mut counts: HashMap<Member, usize> = HashMap::new();
        let mut index = layers.start;
        while index < layers.end {
            let (member, inputs, outputs, next) = match children.get(&index) {
                Some(&(model, call)) => (Member::Model(model), &call.inputs[..], call.outputs.clone(), call.layers.end),
                None => {
                    let placed = &self.layers[index];
                    (Member::Layer(placed.first), &placed.inputs[..], vec![self.output_of(index)], index + 1)
                }
            };
            let count = counts.entry(member).or_default();
            let inputs = inputs.iter().filter_map(|input| places.get(input).copied()).collect();
            for (index, &output) in outputs.iter().enumerate() {
                // A model within may return one of its inputs.
                places.entry(output).or_insert(Output { call: calls.len(), index });
            }
            calls.push(MemberCall { member, number: *count, inputs, outputs });
            *count += 1;
            index = next;
        }
        let inputs = (0..inputs.len()).map(of_input).collect();
        let outputs: Vec<Output> = outputs.iter().filter_map(|output| places.get(output).copied()).collect();
        Scope { members: ordered(&calls, &outputs), calls, inputs, outputs }
    }

    /// The nodes of all layers, at their first call, in Keras' order of a model's `layers`, with those of models within
    /// in place of the models. Layers not connected to an output come last. The input of a
    /// [`ModelClass::Sequential`] model is left out.
    pub fn ordered(&self) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.layers.len() + 1);
        self.append_ordered(None, &mut nodes);
        nodes
    }

    fn append_ordered(&self, model: Option<usize>, nodes: &mut Vec<Node>) {
        for member in self.scope(model).members {
            match member {
                Member::Input(index) if model.is_none() && self.class == ModelClass::Functional => {
                    nodes.push(self.input_at(index));
                }
                Member::Input(_) => {}
                Member::Layer(first) => nodes.push(self.output_of(first)),
                Member::Model(model) => self.append_ordered(Some(model), nodes),
            }
        }
    }

    /// The name of a member within its model.
    pub fn member_name(&self, model: Option<usize>, member: Member) -> &str {
        match member {
            Member::Input(index) => &self.inputs_of(model)[index].name,
            Member::Layer(first) => own_name(&self.layers[first].name),
            Member::Model(model) => self.nested[model].own_name(),
        }
    }

    /// The inputs of the network (`None`) or of a model within it.
    pub fn inputs_of(&self, model: Option<usize>) -> &[Input] {
        model.map_or(&self.inputs, |model| &self.nested[model].inputs)
    }

    /// Keras' name of a member's class.
    pub fn member_class(&self, member: Member) -> &'static str {
        match member {
            Member::Input(_) => "InputLayer",
            Member::Layer(first) => self.layers[first].layer.class_name(),
            Member::Model(model) => self.nested[model].class_name(),
        }
    }

    /// The class of the network (`None`) or of a model within it in files. A sequence has no `training` arguments in
    /// files, so one with a layer that has its own is written as a graph.
    pub fn class_in_files(&self, model: Option<usize>) -> ModelClass {
        let (class, path, layers) = match model.map(|model| &self.nested[model]) {
            None => (self.class, "", 0..self.layers.len()),
            Some(model) => (model.class, model.name.as_str(), model.calls[0].layers.clone()),
        };
        let is_own = |placed: &PlacedLayer| placed.name.rsplit_once('/').map_or("", |(parent, _)| parent) == path;
        let mut layers = self.layers[layers].iter();
        match layers.any(|placed| placed.training.is_some() && is_own(placed)) {
            true => ModelClass::Functional,
            false => class,
        }
    }

    /// The indices of the layers of a member, each at its first call, in Keras' order.
    pub fn layers_of(&self, member: Member) -> Vec<usize> {
        match member {
            Member::Input(_) => Vec::new(),
            Member::Layer(first) => vec![first],
            Member::Model(model) => {
                let mut nodes = Vec::new();
                self.append_ordered(Some(model), &mut nodes);
                nodes.into_iter().filter_map(Node::layer).collect()
            }
        }
    }
}

impl Scope {
    /// The calls of a member.
    pub fn calls_of(&self) -> HashMap<Member, Vec<&MemberCall>> {
        let mut calls: HashMap<Member, Vec<&MemberCall>> = HashMap::new();
        self.calls.iter().for_each(|call| calls.entry(call.member).or_default().push(call));
        calls
    }
}

/// The members by decreasing distance from the outputs, of their farthest call; at equal distance, in the order of a
/// backward traversal from each output in turn, input by input (`keras/src/ops/function.py`, `map_graph`). For a sequence
/// this is the execution order. Inputs not connected to an output are at distance 0, before the others; other such members
/// come last.
fn ordered(calls: &[MemberCall], outputs: &[Output]) -> Vec<Member> {
    let mut met: HashMap<Member, usize> = HashMap::new(); // traversal order
    let mut seen = vec![false; calls.len()];
    let mut finished = Vec::with_capacity(calls.len());
    // Calls, and their inputs already visited.
    let mut open: Vec<(usize, usize)> = outputs.iter().rev().map(|output| (output.call, 0)).collect();
    while let Some((call, input)) = open.pop() {
        if input == 0 && std::mem::replace(&mut seen[call], true) {
            continue;
        }
        let count = met.len();
        met.entry(calls[call].member).or_insert(count);
        match calls[call].inputs.get(input) {
            Some(&next) => {
                open.push((call, input + 1));
                open.push((next.call, 0));
            }
            None => finished.push(call),
        }
    }
    let mut distances = vec![0; calls.len()];
    let mut farthest: HashMap<Member, usize> = HashMap::new();
    for &call in finished.iter().rev() {
        let member = farthest.entry(calls[call].member).or_default();
        *member = distances[call].max(*member);
        for input in &calls[call].inputs {
            distances[input.call] = distances[input.call].max(*member + 1);
        }
    }
    let mut members: Vec<Member> = calls.iter().filter(|call| call.number == 0).map(|call| call.member).collect();
    members.sort_by_key(|member| match (met.get(member), member) {
        (Some(&order), _) => (Reverse(farthest.get(member).copied()), Some(order)),
        (None, Member::Input(_)) => (Reverse(Some(0)), None),
        (None, _) => (Reverse(None), None),
    });
    members
}
