//! Reads a model in Keras' format.

use std::collections::HashMap;

use kiln_graph::Shape;
use serde_json::Value;

use super::calls::{Call, call, is_op, single};
use super::groups;
use super::operations::operation;
use crate::keras_object::{KerasObject, Package, check_float32, check_members, first_unknown, shown, string, unknown};
use crate::layers::{Named, Registry, is_custom, split_config};
use crate::network::{ModelClass, Network, Node};

/// Reads a model in the format of Keras 3 or Keras 2.
///
/// # Errors
/// The unknown or missing member, with the layer's name and class. No unknown member is ignored: see
/// [`keras_object`](crate::keras_object).
pub(in crate::saving) fn from_json(json: &Value, registry: &Registry) -> Result<Network, String> {
    let class = string(json, "class_name")?;
    if !["Sequential", "Functional", "Model"].contains(&class) {
        return Err(format!("expected a model of class Sequential or Functional, found {class}"));
    }
    let config = KerasObject::read(json, Package::Models, &[])?.config;
    if config.is_null() {
        return Err("expected a member `config`, found none".to_owned());
    }
    if class == "Sequential" {
        return sequential(config, registry);
    }
    let mut network = functional(config, registry)?;
    let keras2 = json.get("keras_version").and_then(Value::as_str).is_some_and(|version| version < "3");
    if config.get("trainable") == Some(&Value::Bool(false)) && !keras2 {
        freeze(&mut network)?;
    }
    Ok(network)
}

/// A chain. Before Keras 2.2.3 the configuration is the list of layers; without an InputLayer, the first layer has the
/// input shape. Keras ignores `trainable` of a chain and uses that of its layers.
fn sequential(config: &Value, registry: &Registry) -> Result<Network, String> {
    let layers = config.get("layers").unwrap_or(config);
    check_members(config, &["name", "trainable", "dtype", "layers"]).map_err(in_config)?;
    check_float32(config).map_err(in_config)?;
    let layers = layers.as_array().ok_or("expected a list `config.layers`, found none")?;
    let first = layers.first().ok_or("expected an InputLayer first in `config.layers`, found no layer")?;
    let has_input = string(first, "class_name")? == "InputLayer";
    let shape = if has_input { input(first)? } else { first_shape(first)? };
    let mut network = Network::new(ModelClass::Sequential, shape);
    if config.get("layers").is_some() {
        network.name = string(config, "name")?.to_owned();
    }
    for json in &layers[usize::from(has_input)..] {
        network.push(layer(json, &["name", groups::MEMBER], registry)?);
        groups::read(json, &mut network).map_err(|problem| format!("{}: {problem}", title(json)))?;
    }
    Ok(network)
}

/// A graph of layers with one input and one output, in which each layer is called once.
fn functional(config: &Value, registry: &Registry) -> Result<Network, String> {
    let known = ["name", "trainable", "dtype", "layers", "input_layers", "output_layers"];
    check_members(config, &known).map_err(in_config)?;
    check_float32(config).map_err(in_config)?;
    let layers = config.get("layers").and_then(Value::as_array).ok_or("expected a list `config.layers`, found none")?;
    let one = |key: &str, what: &str| {
        let found = || format!("expected one {what} in `{key}`, found {}", shown(&config[key]));
        single(&config[key]).ok_or_else(found)
    };
    let input_name = one("input_layers", "input")?;
    let place = layers.iter().position(|json| json.get("name").and_then(Value::as_str) == Some(input_name));
    let place = place.ok_or_else(|| format!("expected an InputLayer {input_name}, found none"))?;
    let mut network = Network::new(ModelClass::Functional, input(&layers[place])?);
    network.name = string(config, "name")?.to_owned();
    network.input_name = input_name.to_owned();
    let mut nodes: HashMap<&str, Node> = [(input_name, network.input())].into();
    // Keras writes a layer after its inputs.
    for json in layers.iter().enumerate().filter(|(index, _)| *index != place).map(|(_, json)| json) {
        let named = |problem: String| format!("{}: {problem}", title(json));
        let name = string(json, "name").map_err(named)?;
        let layer = layer(json, &["name", "inbound_nodes", groups::MEMBER], registry)?;
        let Call { inputs, training } = call(json).map_err(named)?;
        let taken = inputs.iter().map(|input| {
            let unknown = || named(format!("expected a preceding layer as its input, found {input}"));
            nodes.get(input).copied().ok_or_else(unknown)
        });
        let taken: Vec<Node> = taken.collect::<Result<_, String>>()?;
        let node = network.push_on(Named { training, ..layer }, &taken);
        groups::read(json, &mut network).map_err(named)?;
        if nodes.insert(name, node).is_some() {
            return Err(named("expected a name that no other layer has".to_owned()));
        }
    }
    let output_name = one("output_layers", "output")?;
    let output = nodes.get(output_name);
    network.output = *output.ok_or_else(|| format!("expected a layer {output_name} to be the output, found none"))?;
    Ok(network)
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

/// The sample shape of an InputLayer.
fn input(json: &Value) -> Result<Shape, String> {
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
    let missing = || format!("input: expected a batch_shape [null, …], found {}", shown(object.config));
    sample_shape(shape.ok_or_else(missing)?)
}

/// The sample shape of a chain without an InputLayer, from its first layer.
fn first_shape(json: &Value) -> Result<Shape, String> {
    match json.pointer("/config/batch_input_shape") {
        Some(shape) => sample_shape(shape),
        None => Err(format!("expected an InputLayer first in `config.layers`, found {}", string(json, "class_name")?)),
    }
}

/// Reads a layer, whose members other than class and arguments must be `known`.
fn layer(json: &Value, known: &[&str], registry: &Registry) -> Result<Named, String> {
    let named = |problem: String| format!("{}: {problem}", title(json));
    let package = if is_op(json) { Package::Ops } else { Package::Layers };
    if ["Sequential", "Functional", "Model"].contains(&string(json, "class_name").map_err(named)?) {
        return Err(named("a model within a model is not supported; write its layers into the outer one".to_owned()));
    }
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

/// `[null, 28, 28, 1]` without its batch.
fn sample_shape(json: &Value) -> Result<Shape, String> {
    let extents = json.as_array().and_then(|shape| {
        let (batch, extents) = shape.split_first()?;
        (batch.is_null() || batch.is_u64()).then_some(extents)
    });
    let extents = extents.and_then(|extents| extents.iter().map(|n| n.as_u64().map(|n| n as usize)).collect());
    let extents: Option<Vec<usize>> = extents;
    extents.map(Shape::from).ok_or_else(|| format!("input: expected a batch_shape [null, …] of numbers, found {json}"))
}
