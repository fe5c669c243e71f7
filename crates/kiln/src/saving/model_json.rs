//! `model.json`: Keras' `to_json` form of a Sequential model.

use kiln_graph::Shape;
use serde_json::{Map, Value, json};

use crate::layers::{Named, from_config};
use crate::network::{Network, PlacedLayer};
use crate::{Result, Sequential};

/// The model as Keras writes it.
///
/// # Errors
/// When the layers do not fit together.
pub(super) fn to_json(network: &Network) -> Result<Value> {
    network.check()?;
    let batch_shape = keras_shape(&network.input_shape);
    let input = json!({
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {
            "batch_shape": batch_shape,
            "dtype": "float32",
            "sparse": false,
            "ragged": false,
            "name": "input_layer",
            "optional": false,
        },
        "registered_name": null,
    });
    let layers: Vec<Value> = std::iter::once(input).chain(network.layers.iter().map(layer_to_json)).collect();
    Ok(json!({
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "name": network.name,
            "trainable": true,
            "dtype": dtype(),
            "layers": layers,
            "build_input_shape": batch_shape,
        },
        "registered_name": null,
        "build_config": {"input_shape": batch_shape},
        "compile_config": {},
    }))
}

fn layer_to_json(placed: &PlacedLayer) -> Value {
    let common = [("name", json!(placed.name)), ("trainable", json!(placed.trainable)), ("dtype", dtype())];
    let common = common.map(|(key, value)| (key.to_owned(), value));
    let config: Map<String, Value> = common.into_iter().chain(placed.layer.config()).collect();
    let mut layer = json!({
        "module": "keras.layers",
        "class_name": placed.layer.class_name(),
        "config": config,
        "registered_name": null,
    });
    if let (true, Some((inputs, _))) = (placed.layer.has_build_config(), &placed.shapes) {
        layer["build_config"] = match &inputs[..] {
            [input] => json!({"input_shape": keras_shape(input)}),
            _ => json!({"input_shape": inputs.iter().map(keras_shape).collect::<Vec<_>>()}),
        };
    }
    layer
}

fn dtype() -> Value {
    json!({
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": null,
    })
}

fn keras_shape(shape: &Shape) -> Value {
    let batch = std::iter::once(Value::Null);
    batch.chain(shape.iter().map(|&n| json!(n))).collect()
}

/// The model that Keras' form describes, that of Keras 3 or one of Keras 2: before 2.2.3 the configuration is the list of
/// layers itself, and where there is no InputLayer, the first layer tells what comes in.
///
/// # Errors
/// What is not known or not there, with the layer's name.
pub(super) fn from_json(json: &Value) -> std::result::Result<Sequential, String> {
    let class = string(json, "class_name")?;
    if class != "Sequential" {
        return Err(format!("expected a model of class Sequential, found {class}"));
    }
    let config = json.get("config").ok_or("expected a member `config`, found none")?;
    let layers = config.get("layers").unwrap_or(config);
    let layers = layers.as_array().ok_or("expected a list `config.layers`, found none")?;
    let first = layers.first().ok_or("expected an InputLayer first in `config.layers`, found no layer")?;
    let input = &first["config"];
    let keys = ["batch_shape", "batch_input_shape"];
    let is_input = string(first, "class_name")? == "InputLayer";
    let Some(shape) = keys.iter().find_map(|key| input.get(key)) else {
        let found = string(first, "class_name")?;
        return Err(match is_input {
            true => format!("input: expected a batch_shape [null, …], found {input}"),
            false => format!("expected an InputLayer first in `config.layers`, found {found}"),
        });
    };
    let mut model = Sequential::new(sample_shape(shape)?);
    if config.get("layers").is_some() {
        model = model.with_name(string(config, "name")?);
    }
    for layer in &layers[usize::from(is_input)..] {
        model.add(layer_from_json(layer)?);
    }
    Ok(model)
}

fn layer_from_json(json: &Value) -> std::result::Result<Named, String> {
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

fn string(json: &Value, key: &str) -> std::result::Result<String, String> {
    let found = json.get(key);
    found.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        format!("expected a string `{key}`, found {}", found.map_or("none".to_owned(), ToString::to_string))
    })
}

/// `[null, 28, 28, 1]` without its batch.
fn sample_shape(json: &Value) -> std::result::Result<Shape, String> {
    let extents = json.as_array().and_then(|shape| shape.get(1..));
    let extents = extents.and_then(|extents| extents.iter().map(|n| n.as_u64().map(|n| n as usize)).collect());
    let extents: Option<Vec<usize>> = extents;
    extents.map(Shape::from).ok_or_else(|| format!("input: expected a batch_shape [null, …] of numbers, found {json}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::models;

    /// What Keras 3.15 writes for LeNet with fewer filters.
    const KERAS: &str = include_str!("../../../../tests/fixtures/lenet_narrow_adam/model.json");

    fn keras() -> Value {
        serde_json::from_str(KERAS).unwrap()
    }

    fn error(json: &Value) -> String {
        from_json(json).unwrap_err()
    }

    #[test]
    fn what_keras_writes_is_read_and_written_again_as_it_is() {
        let model = from_json(&keras()).unwrap();
        assert_eq!(model.summary().parameters(), 54_314);
        let mut expected = keras();
        // Keras counts the inputs that a process makes.
        expected["config"]["layers"][0]["config"]["name"] = json!("input_layer");
        assert_eq!(to_json(model.network()).unwrap(), expected);
    }

    #[test]
    fn lenet_reads_back_as_it_was_written() {
        let model = models::lenet([28, 28, 1], 10);
        let json = to_json(model.network()).unwrap();
        assert_eq!(from_json(&json).unwrap().summary(), model.summary());
    }

    /// The same network as Keras 2 writes it.
    fn keras2(with_input_layer: bool, as_list: bool) -> Value {
        let mut json = keras();
        let mut layers = json["config"]["layers"].as_array().unwrap().clone();
        for layer in &mut layers {
            let layer = layer.as_object_mut().unwrap();
            layer.retain(|key, _| key == "class_name" || key == "config");
            layer["config"]["dtype"] = json!("float32");
            layer["config"].as_object_mut().unwrap().remove("quantization_config");
        }
        let shape = layers[0]["config"].as_object_mut().unwrap().remove("batch_shape").unwrap();
        layers[usize::from(!with_input_layer)]["config"]["batch_input_shape"] = shape;
        layers.drain(..usize::from(!with_input_layer));
        let config = if as_list { json!(layers) } else { json!({"name": "lenet_narrow", "layers": layers}) };
        json = json!({"class_name": "Sequential", "config": config, "keras_version": "2.2.4", "backend": "tensorflow"});
        json
    }

    #[test]
    fn what_keras_2_writes_is_the_same_model() {
        let expected = from_json(&keras()).unwrap().summary();
        for (with_input_layer, as_list) in [(true, false), (false, false), (false, true)] {
            let found = from_json(&keras2(with_input_layer, as_list)).unwrap().summary();
            assert_eq!(found.rows, expected.rows);
        }
    }

    #[test]
    fn a_frozen_layer_stays_frozen() {
        let mut json = keras();
        json["config"]["layers"][1]["config"]["trainable"] = json!(false);
        let model = from_json(&json).unwrap();
        assert_eq!(model.summary().trainable_parameters(), 54_314 - model.summary().rows[0].parameters);
        assert_eq!(to_json(model.network()).unwrap()["config"]["layers"][1]["config"]["trainable"], json!(false));
    }

    #[test]
    fn what_kiln_does_not_know_names_the_layer() {
        let mut json = keras();
        json["config"]["layers"][1]["config"]["groups"] = json!(2);
        assert_eq!(error(&json), "layer conv1 (Conv2D): groups: expected 1, found 2");
        json = keras();
        json["config"]["layers"][2]["class_name"] = json!("Lambda");
        assert_eq!(error(&json), "layer relu1 (Lambda): Kiln has no such layer");
        json = keras();
        json["config"]["layers"][8]["config"]["trainable"] = json!("yes");
        assert_eq!(error(&json), "layer fc1 (Dense): trainable: expected true or false, found \"yes\"");
        json = keras();
        json["config"]["layers"][8]["config"]["dtype"]["config"]["name"] = json!("mixed_float16");
        assert_eq!(error(&json), "layer fc1 (Dense): dtype: expected \"float32\", found \"mixed_float16\"");
    }

    #[test]
    fn a_file_of_another_form_says_what_is_expected() {
        assert_eq!(error(&json!({})), "expected a string `class_name`, found none");
        assert_eq!(
            error(&json!({"class_name": "Functional"})),
            "expected a model of class Sequential, found Functional"
        );
        let mut json = keras();
        json["config"]["layers"][0]["config"]["batch_shape"] = json!([null, null, 3]);
        assert_eq!(error(&json), "input: expected a batch_shape [null, …] of numbers, found [null,null,3]");
    }
}
