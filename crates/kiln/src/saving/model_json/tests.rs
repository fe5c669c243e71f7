#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};

use super::*;
use crate::layers::Registry;
use crate::models::Top;
use crate::{Model, models};

/// LeNet with fewer filters, written by Keras 3.15.
const KERAS: &str = include_str!("../../../../bench/fixtures/lenet_narrow_adam/model.json");

fn keras() -> Value {
    serde_json::from_str(KERAS).unwrap()
}

fn model(json: &Value) -> Result<Model, String> {
    from_json(json, Reading { registry: &Registry::default(), input_shapes: &[] }).map(Model::of)
}

fn error(json: &Value) -> String {
    super::from_json(json, Reading { registry: &Registry::default(), input_shapes: &[] }).unwrap_err()
}

#[test]
fn what_keras_writes_is_read_and_written_again_as_it_is() {
    let model = model(&keras()).unwrap();
    assert_eq!(model.summary().parameters(), 54_314);
    assert_eq!(to_json(model.network()).unwrap(), keras());
}

#[test]
fn lenet_reads_back_as_it_was_written() {
    let lenet = models::lenet([28, 28, 1], 10);
    let json = to_json(lenet.network()).unwrap();
    assert_eq!(model(&json).unwrap().summary(), lenet.summary());
}

/// The same network in the format of Keras 2.
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
    let expected = model(&keras()).unwrap().summary();
    for (with_input_layer, as_list) in [(true, false), (false, false), (false, true)] {
        let mut found = model(&keras2(with_input_layer, as_list)).unwrap().summary();
        // Without an InputLayer, the input has Kiln's name.
        let input = if with_input_layer { "input_layer_1" } else { "input_layer" };
        let connected: Vec<&str> = found.rows[0].connected_to.iter().map(|input| input.layer.as_str()).collect();
        assert_eq!(connected, [input]);
        found.rows[0].connected_to.clone_from(&expected.rows[0].connected_to);
        assert_eq!(found.rows, expected.rows);
    }
}

#[test]
fn a_frozen_layer_stays_frozen() {
    let mut json = keras();
    json["config"]["layers"][1]["config"]["trainable"] = json!(false);
    let model = model(&json).unwrap();
    assert_eq!(model.summary().trainable_parameters(), 54_314 - model.summary().rows[0].parameters);
    assert_eq!(to_json(model.network()).unwrap()["config"]["layers"][1]["config"]["trainable"], json!(false));
}

#[test]
fn what_kiln_does_not_know_names_the_layer() {
    let mut json = keras();
    json["config"]["layers"][1]["config"]["data_format"] = json!("channels_first");
    let expected = "data_format: expected \"channels_last\", found \"channels_first\"";
    assert_eq!(error(&json), format!("layer conv1 (Conv2D): {expected}"));
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
        error(&json!({"class_name": "Subclassed", "config": {}})),
        "expected a model of class Sequential or Functional, found Subclassed"
    );
    let mut json = keras();
    json["config"]["layers"][0]["config"]["batch_shape"] = json!([null, null, 3]);
    let open =
        "input: expected a batch_shape [null, …] of numbers, found [null,null,3]; fix it with `LoadModel::input_shape`";
    assert_eq!(error(&json), open);
}

/// A graph with Add and Concatenate, written by Keras 3.15 and tf-keras 2.21.
const FUNCTIONAL: &str = include_str!("functional_keras3.json");
const FUNCTIONAL_KERAS_2: &str = include_str!("functional_keras2.json");

#[test]
fn a_graph_that_keras_writes_is_read_and_written_again_as_it_is() {
    let json: Value = serde_json::from_str(FUNCTIONAL).unwrap();
    let model = model(&json).unwrap();
    assert_eq!(model.output_shape().unwrap(), &[3].into());
    assert_eq!(to_json(model.network()).unwrap(), json);
}

#[test]
fn a_graph_of_keras_2_is_the_same_model() {
    let old = model(&serde_json::from_str(FUNCTIONAL_KERAS_2).unwrap()).unwrap();
    let new = model(&serde_json::from_str(FUNCTIONAL).unwrap()).unwrap();
    assert_eq!(old.summary(), new.summary());
}

#[test]
fn backbones_read_back_as_they_were_written() {
    for backbone in [models::vgg16([32, 32, 3], Top::Classes(5)), models::inception_v3([75, 75, 3], Top::None)] {
        let json = to_json(backbone.network()).unwrap();
        let read = model(&json).unwrap();
        assert_eq!(read.summary(), backbone.summary());
        assert_eq!(to_json(read.network()).unwrap(), json);
    }
}

#[test]
fn graphs_that_kiln_does_not_know_say_what_is_expected() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_str(FUNCTIONAL).unwrap();
        change(&mut json["config"]);
        error(&json)
    };
    let other = with(&|config| config["input_layers"] = json!([["image", 0, 0], ["other", 0, 0]]));
    assert_eq!(other, "expected an InputLayer other, found none");
    let twice = with(&|config| config["input_layers"] = json!([["image", 0, 0], ["image", 0, 0]]));
    assert_eq!(twice, "input_layers: expected each InputLayer once, found image twice");
    let named = with(&|config| config["input_layers"] = json!({"pixels": ["image", 0, 0]}));
    assert_eq!(named, "input_layers: expected the name of the layer, image, found the name pixels");
    let output = with(&|config| config["output_layers"] = json!([["a", 0, 1]]));
    let expected =
        "output_layers: expected the output of a layer, found output 1 of call 0 of a, which it does not have";
    assert_eq!(output, expected);
    let not_called = with(&|config| config["layers"][1]["inbound_nodes"] = json!([]));
    assert_eq!(not_called, "layer a (Conv2D): inbound_nodes: expected at least one call of the layer, found none");
    let again = with(&|config| {
        config["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = json!(["image", 1, 0]);
    });
    assert_eq!(again, "layer a (Conv2D): expected a preceding layer as its input, found call 1 of image");
    let itself = with(&|config| {
        config["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = json!(["a", 0, 0]);
    });
    assert_eq!(itself, "layer a (Conv2D): expected a preceding layer as its input, found a");
    let unknown = with(&|config| {
        config["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = json!("nobody");
    });
    assert_eq!(unknown, "layer a (Conv2D): expected a preceding layer as its input, found nobody");
}

#[test]
fn a_model_within_a_model_names_its_layer_in_errors() {
    let outer = |inner: Value| {
        let input = keras()["config"]["layers"][0].clone();
        json!({"class_name": "Sequential", "config": {"name": "outer", "layers": [input, inner]}})
    };
    assert_eq!(model(&outer(keras())).unwrap().summary().parameters(), 54_314);
    let mut wrong = keras();
    wrong["config"]["layers"][1]["config"]["filters"] = json!("many");
    let found = error(&outer(wrong));
    let expected = "layer lenet (Sequential): layer conv1 (Conv2D): filters: invalid type: string \"many\"";
    assert!(found.starts_with(expected), "{found}");
    for class in ["Sequential", "Functional", "Dense"] {
        let mut custom = keras();
        (custom["class_name"], custom["registered_name"]) = (json!(class), json!(format!("mine>{class}")));
        let error = error(&outer(custom));
        assert!(error.contains("registered_name: ") && error.contains(&format!("mine>{class}")), "{error}");
    }
    let mut empty = keras();
    empty["config"]["layers"].as_array_mut().unwrap().truncate(1);
    assert_eq!(error(&outer(empty)), "layer lenet (Sequential): expected a model with layers, found none");
}

#[test]
fn a_small_file_of_very_many_layers_is_an_error() {
    let input = json!({"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [null, 2]}, "name": "x", "inbound_nodes": []});
    let dropout = json!({"class_name": "Dropout", "config": {"name": "d", "rate": 0.5}});
    let mut inner = json!({"class_name": "Sequential", "config": {"name": "inner", "layers": [input, dropout]}});
    for _ in 0..20 {
        (inner["name"], inner["inbound_nodes"]) = (json!("inner"), json!([[["x", 0, 0]], [["inner", 0, 0]]]));
        inner = json!({"class_name": "Functional", "config": {
            "name": "inner", "layers": [input, inner], "input_layers": [["x", 0, 0]], "output_layers": [["inner", 1, 0]],
        }});
    }
    assert!(inner.to_string().len() < 10_000);
    assert!(error(&inner).ends_with("layer inner (Functional): expected at most 131072 calls of layers, found more"));
}
