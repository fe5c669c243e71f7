//! A model as Keras sees it: layers in Keras' order, each with its calls. A model within it is one of its layers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::{ModelClass, NestedCall, Network, Node, PlacedLayer, own_name};

/// A layer of a model, in Keras' sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Member {
    /// The model's input.
    Input,
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
    /// Its inputs: indices among the calls of the model.
    pub inputs: Vec<usize>,
    /// Its output.
    pub output: Node,
}

/// The network, or a model within it.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The members in Keras' order, with the input.
    pub members: Vec<Member>,
    /// All calls in order of execution; the first is the input.
    pub calls: Vec<MemberCall>,
    /// The call whose output is the model's.
    pub output: usize,
}

impl Network {
    /// The network (`None`), or the first call of a model within it.
    pub fn scope(&self, model: Option<usize>) -> Scope {
        let model = model.map(|model| &self.nested[model]);
        let (layers, input, output) = match model.map(|model| &model.calls[0]) {
            None => (0..self.layers.len(), self.input(), self.output),
            Some(call) => (call.layers.clone(), call.input, call.output),
        };
        let path = model.map_or("", |model| &model.name);
        let children = self.nested.iter().enumerate().filter(|(_, child)| child.parent() == path);
        let children = children.flat_map(|(index, child)| child.calls.iter().map(move |call| (index, call)));
        let children: BTreeMap<usize, (usize, &NestedCall)> =
            children.map(|(index, call)| (call.layers.start, (index, call))).collect(); // by first layer
        let mut calls = vec![MemberCall { member: Member::Input, number: 0, inputs: Vec::new(), output: input }];
        let mut places: HashMap<Node, usize> = [(input, 0)].into();
        let mut counts: HashMap<Member, usize> = HashMap::new();
        let mut index = layers.start;
        while index < layers.end {
            let (member, inputs, output, next) = match children.get(&index) {
                Some(&(model, call)) => (Member::Model(model), &[call.input][..], call.output, call.layers.end),
                None => {
                    let placed = &self.layers[index];
                    (Member::Layer(placed.first), &placed.inputs[..], self.output_of(index), index + 1)
                }
            };
            let count = counts.entry(member).or_default();
            let inputs = inputs.iter().filter_map(|input| places.get(input).copied()).collect();
            places.insert(output, calls.len());
            calls.push(MemberCall { member, number: *count, inputs, output });
            *count += 1;
            index = next;
        }
        let output = places.get(&output).copied().unwrap_or(0);
        Scope { members: ordered(&calls, output), calls, output }
    }

    /// The nodes of all layers, at their first call, in Keras' order of a model's `layers`, with those of models within
    /// in place of the models. Layers not connected to the output come last. The input of a
    /// [`ModelClass::Sequential`] model is left out.
    pub fn ordered(&self) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.layers.len() + 1);
        self.append_ordered(None, &mut nodes);
        nodes
    }

    fn append_ordered(&self, model: Option<usize>, nodes: &mut Vec<Node>) {
        for member in self.scope(model).members {
            match member {
                Member::Input if model.is_none() && self.class == ModelClass::Functional => nodes.push(self.input()),
                Member::Input => {}
                Member::Layer(first) => nodes.push(self.output_of(first)),
                Member::Model(model) => self.append_ordered(Some(model), nodes),
            }
        }
    }

    /// The name of a member within its model.
    pub fn member_name(&self, model: Option<usize>, member: Member) -> &str {
        match member {
            Member::Input => model.map_or(&self.input_name, |model| &self.nested[model].input_name),
            Member::Layer(first) => own_name(&self.layers[first].name),
            Member::Model(model) => self.nested[model].own_name(),
        }
    }

    /// Keras' name of a member's class.
    pub fn member_class(&self, member: Member) -> &'static str {
        match member {
            Member::Input => "InputLayer",
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
            Member::Input => Vec::new(),
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

/// The members by decreasing distance from the output, of their farthest call; at equal distance, in the order of a
/// backward traversal from the output, input by input (`keras/src/ops/function.py`, `map_graph`). For a sequence this
/// is the execution order. Members not connected to the output come last.
fn ordered(calls: &[MemberCall], output: usize) -> Vec<Member> {
    let mut met: HashMap<Member, usize> = HashMap::new(); // traversal order
    let mut seen = vec![false; calls.len()];
    let mut finished = Vec::with_capacity(calls.len());
    let mut open = vec![(output, 0)]; // calls, and their inputs already visited
    while let Some((call, input)) = open.pop() {
        if input == 0 && std::mem::replace(&mut seen[call], true) {
            continue;
        }
        let count = met.len();
        met.entry(calls[call].member).or_insert(count);
        match calls[call].inputs.get(input) {
            Some(&next) => {
                open.push((call, input + 1));
                open.push((next, 0));
            }
            None => finished.push(call),
        }
    }
    let mut distances = vec![0; calls.len()];
    let mut farthest: HashMap<Member, usize> = HashMap::new();
    for &call in finished.iter().rev() {
        let member = farthest.entry(calls[call].member).or_default();
        *member = distances[call].max(*member);
        for &input in &calls[call].inputs {
            distances[input] = distances[input].max(*member + 1);
        }
    }
    let mut members: Vec<Member> = met.keys().copied().collect();
    members.sort_by_key(|member| (Reverse(farthest.get(member).copied()), met[member]));
    for call in calls {
        if !met.contains_key(&call.member) && call.number == 0 {
            members.push(call.member);
        }
    }
    members
}
