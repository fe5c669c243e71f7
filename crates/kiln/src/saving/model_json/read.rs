//! Reads a model in Keras' format.

use std::collections::{HashMap, VecDeque};

use kiln_graph::Shape;
use serde_json::Value;

use super::calls::{Call, Source, calls, is_op, single};
use super::groups;
use super::operations::operation;
use crate::keras_object::{KerasObject, Package, check_float32, check_members, first_unknown, shown, string, unknown};
use crate::layers::{Named, Registry, is_custom, split_config};
use crate::network::{ModelClass, Network, Node};

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
    /// The shape of a sample, for a file that leaves some of its extents open.
    pub input_shape: Option<&'a Shape>,
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
    let mut network = Network::new(ModelClass::Sequential, sample_shape(&shape, reading.input_shape)?);
    if let Some(name) = first.pointer("/config/name").and_then(Value::as_str).filter(|_| has_input) {
        network.input_name = name.to_owned();
    }
    if config.get("layers").is_some() {
        network.name = string(config, "name")?.to_owned();
    }
    for json in &layers[usize::from(has_input)..] {
        let known = ["name", groups::MEMBER];
        if is_model(json) {
            let (inner, output) = (nested(json, &known, &network, network.output, reading, keras2)?, network.output);
            network.push_model(&inner, output, None);
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
    /// The outputs of its calls so far.
    outputs: Vec<Node>,
}

/// A graph of layers with one input and one output.
fn functional(config: &Value, reading: Reading<'_>, keras2: bool) -> Result<Network, String> {
    let known = ["name", "trainable", "dtype", "layers", "input_layers", "output_layers"];
    check_members(config, &known).map_err(in_config)?;
    check_float32(config).map_err(in_config)?;
    let layers = config.get("layers").and_then(Value::as_array).ok_or("expected a list `config.layers`, found none")?;
    let one = |key: &str, what: &str| {
        let found = || {
            format!(
                "expected one {what} in `{key}`, found {}; Kiln has no models of several {what}s yet",
                shown(&config[key])
            )
        };
        single(&config[key]).ok_or_else(found)
    };
    let (input_name, _) = one("input_layers", "input")?;
    let place = layers.iter().position(|json| json.get("name").and_then(Value::as_str) == Some(input_name));
    let place = place.ok_or_else(|| format!("expected an InputLayer {input_name}, found none"))?;
    let shape = sample_shape(&input(&layers[place])?, reading.input_shape)?;
    let mut network = Network::new(ModelClass::Functional, shape);
    network.name = string(config, "name")?.to_owned();
    network.input_name = input_name.to_owned();
    let mut pending = Vec::with_capacity(layers.len());
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (index, json) in layers.iter().enumerate() {
        let named = |problem: String| format!("{}: {problem}", title(json));
        let name = string(json, "name").map_err(named)?;
        let (calls, outputs) = match index == place {
            true => (Vec::new(), vec![network.input()]),
            false => (calls(json).map_err(named)?, Vec::new()),
        };
        if places.insert(name, index).is_some() {
            return Err(named("expected a name that no other layer has".to_owned()));
        }
        pending.push(Pending { json, name, calls, outputs });
    }
    // Keras writes a layer after its inputs, except for later calls of shared layers.
    let mut queue: VecDeque<usize> = (0..layers.len()).filter(|&index| index != place).collect();
    let mut waiting: HashMap<Source<'_>, Vec<usize>> = HashMap::new();
    while let Some(index) = queue.pop_front() {
        let layer = &pending[index];
        let Some(call) = layer.calls.get(layer.outputs.len()) else { continue };
        let output = |&(name, call): &Source<'_>| Some(*pending[*places.get(name)?].outputs.get(call)?);
        if let Some(&missing) = call.inputs.iter().find(|source| output(source).is_none()) {
            waiting.entry(missing).or_default().push(index);
            continue;
        }
        let inputs: Vec<Node> = call.inputs.iter().filter_map(output).collect();
        let node = connect(&mut network, layer, &inputs, reading, keras2)?;
        check_calls(&network).map_err(|problem| format!("{}: {problem}", title(layer.json)))?;
        let layer = &mut pending[index];
        layer.outputs.push(node);
        let done = waiting.remove(&(layer.name, layer.outputs.len() - 1)).unwrap_or_default();
        done.into_iter().chain([index]).rev().for_each(|index| queue.push_front(index));
    }
    if let Some(layer) = pending.iter().find(|layer| layer.outputs.len() < layer.calls.len()) {
        let call = &layer.calls[layer.outputs.len()];
        let missing = call
            .inputs
            .iter()
            .find(|(name, call)| places.get(name).is_none_or(|&index| pending[index].outputs.len() <= *call));
        let (name, call) = missing.copied().unwrap_or_default();
        let found = if call == 0 { name.to_owned() } else { format!("call {call} of {name}") };
        return Err(format!("{}: expected a preceding layer as its input, found {found}", title(layer.json)));
    }
    let (output_name, call) = one("output_layers", "output")?;
    let output = places.get(output_name).and_then(|&index| pending[index].outputs.get(call));
    network.output = *output.ok_or_else(|| format!("expected a layer {output_name} to be the output, found none"))?;
    Ok(network)
}

/// Connects the next call of a layer.
fn connect(
    network: &mut Network,
    Pending { json, name, calls, outputs }: &Pending<'_>,
    inputs: &[Node],
    reading: Reading<'_>,
    keras2: bool,
) -> Result<Node, String> {
    let training = calls[outputs.len()].training;
    if !outputs.is_empty() {
        return Ok(network.push_again(name, inputs, training));
    }
    let named = |problem: String| format!("{}: {problem}", title(json));
    let known = ["name", "inbound_nodes", groups::MEMBER];
    if is_model(json) {
        let &[input] = inputs else {
            return Err(named(format!(
                "expected one input, found {}; Kiln has no models of several inputs yet",
                inputs.len()
            )));
        };
        let inner = nested(json, &known, network, input, reading, keras2)?;
        return Ok(network.push_model(&inner, input, training));
    }
    let node = network.push_on(Named { training, ..layer(json, &known, reading.registry)? }, inputs);
    groups::read(json, network).map_err(named)?;
    Ok(node)
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

/// Reads a model within another one, for a node as input.
fn nested(
    json: &Value,
    known: &[&str],
    network: &Network,
    input: Node,
    reading: Reading<'_>,
    keras2: bool,
) -> Result<Network, String> {
    let named = |problem: String| format!("{}: {problem}", title(json));
    let inner = model(json, known, Reading { input_shape: network.shape(input), ..reading }, keras2).map_err(named)?;
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
        let shape = reading.input_shape?;
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
