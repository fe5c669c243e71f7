//! A model from Keras' form.

use kiln_graph::Shape;
use serde_json::Value;

use crate::layers::{Named, from_config};
use crate::network::{ModelClass, Network, Node};

/// The model that Keras' form describes, that of Keras 3 or one of Keras 2.
///
/// # Errors
/// What is not known or not there, with the layer's name.
pub(in crate::saving) fn from_json(json: &Value) -> Result<Network, String> {
    let class = string(json, "class_name")?;
    let config = json.get("config").ok_or("expected a member `config`, found none")?;
    match class.as_str() {
        "Sequential" => sequential(config),
        "Functional" | "Model" => functional(config),
        _ => Err(format!("expected a model of class Sequential or Functional, found {class}")),
    }
}

/// A chain. Before Keras 2.2.3 the configuration is the list of layers itself; where there is no InputLayer, the first
/// layer tells what comes in.
fn sequential(config: &Value) -> Result<Network, String> {
    let layers = config.get("layers").unwrap_or(config);
    let layers = layers.as_array().ok_or("expected a list `config.layers`, found none")?;
    let first = layers.first().ok_or("expected an InputLayer first in `config.layers`, found no layer")?;
    let mut network = Network::new(ModelClass::Sequential, input_shape(first)?);
    if config.get("layers").is_some() {
        network.name = string(config, "name")?;
    }
    for json in &layers[usize::from(is_input(first)?)..] {
        network.push(layer(json)?);
    }
    Ok(network)
}

/// A graph of layers with one input and one output, of which each is called once.
fn functional(config: &Value) -> Result<Network, String> {
    let layers = config.get("layers").and_then(Value::as_array).ok_or("expected a list `config.layers`, found none")?;
    let [input_name, output_name] = [("input_layers", "input"), ("output_layers", "output")].map(|(key, what)| {
        single(&config[key]).ok_or_else(|| format!("expected one {what} in `{key}`, found {}", config[key]))
    });
    let (input_name, output_name) = (input_name?, output_name?);
    let is_the_input = |json: &&Value| string(json, "name").is_ok_and(|name| name == input_name);
    let input =
        layers.iter().find(is_the_input).ok_or_else(|| format!("expected an InputLayer {input_name}, found none"))?;
    let mut network = Network::new(ModelClass::Functional, input_shape(input)?);
    network.name = string(config, "name")?;
    network.input_name.clone_from(&input_name);
    let mut nodes = vec![(input_name, network.input())];
    // Keras writes a layer behind those that it takes.
    for json in layers {
        let name = string(json, "name")?;
        if nodes.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let inputs = inputs(json).map_err(|problem| format!("layer {name}: {problem}"))?;
        let node = |input: &String| nodes.iter().find(|(known, _)| known == input).map(|(_, node)| *node);
        let taken = inputs.iter().map(|input| {
            node(input)
                .ok_or_else(|| format!("layer {name}: expected to take what a layer before it gives, found {input}"))
        });
        let taken: Vec<Node> = taken.collect::<Result<_, String>>()?;
        let given = network.push_on(layer(json)?, &taken);
        nodes.push((name, given));
    }
    let output = nodes.iter().find(|(name, _)| *name == output_name);
    network.output = output.ok_or_else(|| format!("expected a layer {output_name} to be the output, found none"))?.1;
    Ok(network)
}

/// The layer of `[name, 0, 0]` (Keras 3) or `[[name, 0, 0]]` (Keras 2).
fn single(json: &Value) -> Option<String> {
    let [first, node, tensor] = json.as_array()?.as_slice() else {
        let [only] = json.as_array()?.as_slice() else { return None };
        return single(only);
    };
    let zero = |value: &Value| value.as_u64() == Some(0);
    (zero(node) && zero(tensor)).then(|| first.as_str().map(str::to_owned))?
}

/// The names of the layers that a layer takes.
fn inputs(json: &Value) -> Result<Vec<String>, String> {
    let calls =
        json.get("inbound_nodes").and_then(Value::as_array).ok_or("expected a list `inbound_nodes`, found none")?;
    let [call] = calls.as_slice() else {
        return Err(format!("expected a layer that is called once, found {} calls", calls.len()));
    };
    let unknown = || format!("expected `inbound_nodes` in the form of Keras 2 or 3, found {call}");
    let tensors = match call.get("args") {
        Some(arguments) => {
            let argument = arguments.as_array().filter(|arguments| arguments.len() == 1).map(|arguments| &arguments[0]);
            let argument = argument.ok_or_else(unknown)?;
            let histories = argument.as_array().map_or_else(|| vec![argument], |list| list.iter().collect());
            histories.into_iter().map(|tensor| tensor.pointer("/config/keras_history").and_then(single)).collect()
        }
        None => {
            // [name, node, tensor, arguments]
            let tensor = |tensor: &Value| single(&Value::from(tensor.as_array()?.get(..3)?));
            call.as_array().and_then(|tensors| tensors.iter().map(tensor).collect())
        }
    };
    let tensors: Option<Vec<String>> = tensors;
    tensors.filter(|tensors| !tensors.is_empty()).ok_or_else(unknown)
}

fn is_input(json: &Value) -> Result<bool, String> {
    string(json, "class_name").map(|class| class == "InputLayer")
}

/// The shape of a sample that an InputLayer, or the first layer of a chain, takes.
fn input_shape(json: &Value) -> Result<Shape, String> {
    let config = &json["config"];
    let keys = ["batch_shape", "batch_input_shape"];
    let Some(shape) = keys.iter().find_map(|key| config.get(key)) else {
        return Err(match is_input(json)? {
            true => format!("input: expected a batch_shape [null, …], found {config}"),
            false => format!("expected an InputLayer first in `config.layers`, found {}", string(json, "class_name")?),
        });
    };
    sample_shape(shape)
}

fn layer(json: &Value) -> Result<Named, String> {
    let class = string(json, "class_name")?;
    let mut config = json.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    let name = string(&json["config"], "name").map_err(|problem| format!("a layer of class {class}: {problem}"))?;
    let named = |problem: String| format!("layer {name} ({class}): {problem}");
    config.remove("name");
    config.remove("batch_input_shape"); // of the first layer in Keras 2
    let trainable = match config.remove("trainable") {
        None => true,
        Some(Value::Bool(trainable)) => trainable,
        Some(found) => return Err(named(format!("trainable: expected true or false, found {found}"))),
    };
    if let Some(found) = config.remove("dtype") {
        let found = found.pointer("/config/name").cloned().unwrap_or(found);
        if found != "float32" {
            return Err(named(format!("dtype: expected \"float32\", found {found}")));
        }
    }
    let layer = from_config(&class, &config).map_err(named)?;
    Ok(Named { name: Some(name.clone()), layer, trainable })
}

fn string(json: &Value, key: &str) -> Result<String, String> {
    let found = json.get(key);
    found.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        format!("expected a string `{key}`, found {}", found.map_or("none".to_owned(), ToString::to_string))
    })
}

/// `[null, 28, 28, 1]` without its batch.
fn sample_shape(json: &Value) -> Result<Shape, String> {
    let extents = json.as_array().and_then(|shape| shape.get(1..));
    let extents = extents.and_then(|extents| extents.iter().map(|n| n.as_u64().map(|n| n as usize)).collect());
    let extents: Option<Vec<usize>> = extents;
    extents.map(Shape::from).ok_or_else(|| format!("input: expected a batch_shape [null, …] of numbers, found {json}"))
}
