//! Reads a model in Keras' format.

use std::collections::{HashMap, VecDeque};

use kiln_graph::Shape;
use serde_json::Value;

use super::calls::{Call, Source, calls, ends, is_op};
use super::groups;
use super::operations::operation;
use crate::keras_object::{KerasObject, Package, check_float32, check_members, first_unknown, shown, string, unknown};
use crate::layers::{Named, Registry, is_custom, split_config};
use crate::network::{Input, ModelClass, Network, Node};

/// Keras' classes of models.
const MODELS: [&str; 3] = ["Sequential", "Functional", "Model"];

/// The largest number of calls of layers. A small file could have very many: a model that calls another one twice, which
/// calls another one twice, and so on.
const MOST_CALLS: usize = 1 << 17;

/// Options for reading a model file.
#[derive(Clone, Copy)]
pub(in crate::saving) struct Reading<'a> {
    /// The classes of layers.
    pub registry: &'a Registry,
    /// The shape of a sample for each input, for a file that leaves some of its extents open. There may be fewer.
    pub input_shapes: &'a [Shape],
}

/// Reads a model in the format of Keras 3 or Keras 2.
///
/// # Errors
/// The unknown or missing member, with the layer's name and class. No unknown member is ignored: see
/// [`keras_object`](crate::keras_object).
pub(in crate::saving) fn from_json(json: &Value, reading: Reading<'_>) -> Result<Network, String> {
    let keras2 = json.get("keras_version").and_then(Value::as_str).is_some_and(|version| version < "3");
    model(json, &[], reading, keras2)
}

/// Reads a model, whose members other than class and arguments must be `known`.
fn model(json: &Value, known: &[&str], reading: Reading<'_>, keras2: bool) -> Result<Network, String> {
    let class = string(json, "class_name")?;
    if !MODELS.contains(&class) {
        return Err(format!("expected a model of class Sequential or Functional, found {class}"));
    }
    let config = KerasObject::read(json, Package::Models, known)?.config;
    if config.is_null() {
        return Err("expected a member `config`, found none".to_owned());
    }
    if class == "Sequential" {
        return sequential(config, reading, keras2);
    }
    let mut network = functional(config, reading, keras2)?;
    if config.get("trainable") == Some(&Value::Bool(false)) && !keras2 {
        freeze(&mut network)?;
    }
    Ok(network)
}

/// A chain. Before Keras 2.2.3 the configuration is the list of layers; without an InputLayer, the first layer has the
/// input shape. Keras ignores `trainable` of a chain and uses that of its layers.
fn sequential(config: &Value, reading: Reading<'_>, keras2: bool) -> Result<Network, String> {
    let layers = config.get("layers").unwrap_or(config);
    check_members(config, &["name", "trainable", "dtype", "layers"]).map_err(in_config)?;
    check_float32(config).map_err(in_config)?;
    let layers = layers.as_array().ok_or("expected a list `config.layers`, found none")?;
    let first = layers.first().ok_or("expected an InputLayer first in `config.layers`, found no layer")?;
    let has_input = string(first, "class_name")? == "InputLayer";
    let shape = match has_input {
        true => input(first)?,
        false => first_shape(first, config.get("build_input_shape"), reading)?,
    };
    let mut network = Network::new(ModelClass::Sequential, sample_shape(&shape, reading.input_shapes.first())?);
    if let Some(name) = first.pointer("/config/name").and_then(Value::as_str).filter(|_| has_input) {
        network.inputs[0].name = name.to_owned();
    }
    if config.get("layers").is_some() {
        network.name = string(config, "name")?.to_owned();
    }
    for json in &layers[usize::from(has_input)..] {
        let known = ["name", groups::MEMBER];
        if is_model(json) {
            let input = network.outputs.clone();
            let inner = nested(json, &known, &network, &input, reading, keras2)?;
            network.push_model(&inner, &input, None);
            check_calls(&network).map_err(|problem| format!("{}: {problem}", title(json)))?;
            continue;
        }
        network.push(layer(json, &known, reading.registry)?);
        groups::read(json, &mut network).map_err(|problem| format!("{}: {problem}", title(json)))?;
    }
    Ok(network)
}

/// A layer of a graph.
struct Pending<'a> {
    json: &'a Value,
    name: &'a str,
    calls: Vec<Call<'a>>,
    /// The outputs of each of its calls so far.
    outputs: Vec<Vec<Node>>,
}

/// A graph of layers.
fn functional(config: &Value, reading: Reading<'_>, keras2: bool) -> Result<Network, String> {
    let known = ["name", "trainable", "dtype", "layers", "input_layers", "output_layers"];
    check_members(config, &known).map_err(in_config)?;
    check_float32(config).map_err(in_config)?;
    let layers = config.get("layers").and_then(Value::as_array).ok_or("expected a list `config.layers`, found none")?;
    let of_ends = |key: &str| ends(&config[key]).map_err(|problem| format!("{key}: {problem}"));
    let mut inputs: Vec<Input> = Vec::new();
    for (index, Source { layer: name, .. }) in of_ends("input_layers")?.into_iter().enumerate() {
        let json = layers.iter().find(|json| json.get("name").and_then(Value::as_str) == Some(name));
        let json = json.ok_or_else(|| format!("expected an InputLayer {name}, found none"))?;
        if inputs.iter().any(|input| input.name == name) {
            return Err(format!("input_layers: expected each InputLayer once, found {name} twice"));
        }
        let shape = sample_shape(&input(json)?, reading.input_shapes.get(index))?;
        inputs.push(Input { name: name.to_owned(), shape });
    }
    let names: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
    let mut network = Network::with_inputs(ModelClass::Functional, inputs);
    network.name = string(config, "name")?.to_owned();
    let nodes = network.input_nodes();
    let mut pending = Vec::with_capacity(layers.len());
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (index, json) in layers.iter().enumerate() {
        let named = |problem: String| format!("{}: {problem}", title(json));
        let name = string(json, "name").map_err(named)?;
        let (calls, outputs) = match names.iter().position(|input| input == name) {
            Some(input) => (Vec::new(), vec![vec![nodes[input]]]),
            None => (calls(json).map_err(named)?, Vec::new()),
        };
        if places.insert(name, index).is_some() {
            return Err(named("expected a name that no other layer has".to_owned()));
        }
        pending.push(Pending { json, name, calls, outputs });
    }
    // Keras writes a layer after its inputs, except for later calls of shared layers.
    let mut queue: VecDeque<usize> = (0..layers.len()).filter(|&index| pending[index].outputs.is_empty()).collect();
    let mut waiting: HashMap<(&str, usize), Vec<usize>> = HashMap::new();
    while let Some(index) = queue.pop_front() {
        let layer = &pending[index];
        let Some(call) = layer.calls.get(layer.outputs.len()) else { continue };
        // Keras 2 counts the call with which a model was built.
        let inputs: Vec<Source<'_>> = call
            .inputs
            .iter()
            .map(|source| Source {
                call: match places.get(source.layer).filter(|_| keras2) {
                    Some(&index) => source.call.saturating_sub(own_calls(pending[index].json, keras2)),
                    None => source.call,
                },
                ..*source
            })
            .collect();
        let outputs = |source: &Source<'_>| pending[*places.get(source.layer)?].outputs.get(source.call);
        if let Some(&Source { layer, call, .. }) = inputs.iter().find(|source| outputs(source).is_none()) {
            waiting.entry((layer, call)).or_default().push(index);
            continue;
        }
        let node = |source: &Source<'_>| {
            let found = outputs(source).and_then(|outputs| outputs.get(source.output).copied());
            found.ok_or_else(|| format!("{}: {}", title(layer.json), no_output(source)))
        };
        let inputs: Vec<Node> = inputs.iter().map(node).collect::<Result<_, String>>()?;
        let nodes = connect(&mut network, layer, &inputs, reading, keras2)?;
        check_calls(&network).map_err(|problem| format!("{}: {problem}", title(layer.json)))?;
        let layer = &mut pending[index];
        layer.outputs.push(nodes);
        let done = waiting.remove(&(layer.name, layer.outputs.len() - 1)).unwrap_or_default();
        done.into_iter().chain([index]).rev().for_each(|index| queue.push_front(index));
    }
    if let Some(layer) = pending.iter().find(|layer| layer.outputs.len() < layer.calls.len()) {
        let call = &layer.calls[layer.outputs.len()];
        let missing = call
            .inputs
            .iter()
            .find(|source| places.get(source.layer).is_none_or(|&index| pending[index].outputs.len() <= source.call));
        let (name, call) = missing.map(|source| (source.layer, source.call)).unwrap_or_default();
        let found = if call == 0 { name.to_owned() } else { format!("call {call} of {name}") };
        return Err(format!("{}: expected a preceding layer as its input, found {found}", title(layer.json)));
    }
    let mut outputs = Vec::new();
    for source in of_ends("output_layers")? {
        let layer = places.get(source.layer).map(|&index| &pending[index]);
        let layer = layer.ok_or_else(|| format!("expected a layer {} to be an output, found none", source.layer))?;
        // Keras counts the call with which a functional model was built.
        let call = source.call.saturating_sub(own_calls(layer.json, keras2));
        let output = layer.outputs.get(call).and_then(|outputs| outputs.get(source.output));
        outputs.push(*output.ok_or_else(|| format!("output_layers: {}", no_output(&source)))?);
    }
    network.outputs = outputs;
    Ok(network)
}

/// The number of calls of a layer that Keras counts beside those of the model around it: the one with which a functional
/// model was built, and before Keras 3 also a chain with an InputLayer.
fn own_calls(json: &Value, keras2: bool) -> usize {
    let is_chain = json.get("class_name").and_then(Value::as_str) == Some("Sequential");
    let first = json.pointer("/config/layers/0/class_name").and_then(Value::as_str);
    usize::from(is_model(json) && (!is_chain || keras2 && first == Some("InputLayer")))
}

fn no_output(Source { layer, call, output }: &Source<'_>) -> String {
    format!("expected the output of a layer, found output {output} of call {call} of {layer}, which it does not have")
}

/// Connects the next call of a layer.
fn connect(
    network: &mut Network,
    Pending { json, name, calls, outputs }: &Pending<'_>,
    inputs: &[Node],
    reading: Reading<'_>,
    keras2: bool,
) -> Result<Vec<Node>, String> {
    let training = calls[outputs.len()].training;
    if !outputs.is_empty() {
        return Ok(network.push_again(name, inputs, training));
    }
    let named = |problem: String| format!("{}: {problem}", title(json));
    let known = ["name", "inbound_nodes", groups::MEMBER];
    if is_model(json) {
        let inner = nested(json, &known, network, inputs, reading, keras2)?;
        return Ok(network.push_model(&inner, inputs, training));
    }
    let node = network.push_on(Named { training, ..layer(json, &known, reading.registry)? }, inputs);
    groups::read(json, network).map_err(named)?;
    Ok(vec![node])
}

fn check_calls(network: &Network) -> Result<(), String> {
    match network.layers.len() {
        ..=MOST_CALLS => Ok(()),
        _ => Err(format!("expected at most {MOST_CALLS} calls of layers, found more")),
    }
}

/// Whether an object is a model.
fn is_model(json: &Value) -> bool {
    json.get("class_name").and_then(Value::as_str).is_some_and(|class| MODELS.contains(&class))
}

/// Reads a model within another one, for nodes as inputs.
fn nested(
    json: &Value,
    known: &[&str],
    network: &Network,
    inputs: &[Node],
    reading: Reading<'_>,
    keras2: bool,
) -> Result<Network, String> {
    let named = |problem: String| format!("{}: {problem}", title(json));
    let shapes: Vec<Shape> = inputs.iter().map_while(|&input| network.shape(input).cloned()).collect();
    let inner = model(json, known, Reading { input_shapes: &shapes, ..reading }, keras2).map_err(named)?;
    match inner.layers.is_empty() {
        true => Err(named("expected a model with layers, found none".to_owned())),
        false => Ok(inner),
    }
}

/// Freezes all layers of a model that is not trainable, as in Keras 3, which ignores the layers' own setting.
fn freeze(network: &mut Network) -> Result<(), String> {
    let moved = network.layers.iter().find(|placed| placed.trainable && network.keeps_statistics(placed));
    if let Some(placed) = moved {
        return Err(format!(
            "layer {} ({}): trainable: expected false, as in the model's own configuration, found true: Keras would train \
             nothing and still move the layer's statistics",
            placed.name,
            placed.layer.class_name()
        ));
    }
    network.layers.iter_mut().for_each(|placed| placed.trainable = false);
    Ok(())
}

fn in_config(problem: String) -> String {
    format!("config.{problem}")
}

/// The title of a layer in messages.
fn title(json: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("without name").to_owned();
    let name = json.pointer("/config/name").or_else(|| json.get("name"));
    format!("layer {} ({})", text(name), json.get("class_name").and_then(Value::as_str).unwrap_or("without class"))
}

/// The shape of an InputLayer, with the batch.
fn input(json: &Value) -> Result<Value, String> {
    let named = |problem: String| format!("{}: {problem}", title(json));
    let object = KerasObject::read(json, Package::Layers, &["name", "inbound_nodes"]).map_err(named)?;
    if object.class != "InputLayer" {
        return Err(named("expected an InputLayer".to_owned()));
    }
    let (_, config) = split_config(object).map_err(named)?;
    for member in ["sparse", "ragged", "optional"] {
        if let Some(found) = config.get(member).filter(|found| !found.is_null() && **found != Value::Bool(false)) {
            return Err(named(format!("{member}: expected false, found {}", shown(found))));
        }
    }
    let known = ["batch_shape", "sparse", "ragged", "optional"];
    if let Some((member, value)) = first_unknown(&config, &known) {
        return Err(named(unknown(member, value)));
    }
    let shape = config.get("batch_shape").or_else(|| config.get("batch_input_shape"));
    shape.cloned().ok_or_else(|| format!("input: expected a batch_shape [null, …], found {}", shown(object.config)))
}

/// The shape of a chain without an InputLayer: that of its first layer, the one for which it was built, or the given one.
fn first_shape(json: &Value, built: Option<&Value>, reading: Reading<'_>) -> Result<Value, String> {
    let given = || {
        let shape = reading.input_shapes.first()?;
        Some(std::iter::once(Value::Null).chain(shape.iter().map(|&extent| extent.into())).collect())
    };
    let own = json.pointer("/config/batch_input_shape").or(built).filter(|shape| !shape.is_null());
    let class = string(json, "class_name")?;
    own.cloned().or_else(given).ok_or_else(|| format!("expected an InputLayer first in `config.layers`, found {class}"))
}

/// Reads a layer, whose members other than class and arguments must be `known`.
fn layer(json: &Value, known: &[&str], registry: &Registry) -> Result<Named, String> {
    let named = |problem: String| format!("{}: {problem}", title(json));
    let package = if is_op(json) { Package::Ops } else { Package::Layers };
    let custom = json.get("registered_name").and_then(Value::as_str).filter(|name| is_custom(name));
    let object = match custom {
        Some(_) => KerasObject::read_custom(json, known).map_err(named)?,
        None => KerasObject::read(json, package, known).map_err(named)?,
    };
    let (common, config) = split_config(object).map_err(named)?;
    let name = common.name.ok_or_else(|| named("expected a string `config.name`, found none".to_owned()))?;
    if json.get("name").is_some_and(|other| *other != *name) {
        return Err(named(format!("name: expected \"{name}\", as in its config, found {}", json["name"])));
    }
    let layer = match package {
        Package::Ops => operation(json, object.class, &config).map_err(named)?,
        _ => registry.read(custom.unwrap_or(object.class), &config).map_err(named)?,
    };
    Ok(Named { name: Some(name), layer, trainable: common.trainable, training: None })
}

/// `[null, 28, 28, 1]` without its batch. Open extents have those of a given shape, with which all others must agree.
fn sample_shape(json: &Value, given: Option<&Shape>) -> Result<Shape, String> {
    let extents = json.as_array().and_then(|shape| {
        let (batch, extents) = shape.split_first()?;
        let sizes = extents.iter().all(|extent| extent.is_null() || extent.is_u64());
        (sizes && (batch.is_null() || batch.is_u64())).then_some(extents)
    });
    let extents = extents.ok_or_else(|| format!("input: expected a batch_shape [null, …] of numbers, found {json}"))?;
    let own = |extent: &Value| extent.as_u64().map(|extent| extent as usize);
    match given {
        Some(given) => {
            let agree = extents
                .iter()
                .zip(given.iter())
                .all(|(own_extent, &given)| own(own_extent).is_none_or(|own| own == given));
            match agree && extents.len() == given.len() {
                true => Ok(given.clone()),
                false => Err(format!("input: expected a shape that fits {json}, found {given}")),
            }
        }
        None => extents.iter().map(own).collect::<Option<Vec<usize>>>().map(Shape::from).ok_or_else(|| {
            format!(
                "input: expected a batch_shape [null, …] of numbers, found {json}; fix it with `LoadModel::input_shape`"
            )
        }),
    }
}
