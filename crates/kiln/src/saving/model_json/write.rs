//! Writes a model in Keras' format.

use kiln_graph::Shape;
use serde_json::{Map, Value, json};

use super::groups;
use crate::Result;
use crate::layers::registered_name;
use crate::network::{ModelClass, Network, PlacedLayer};

/// The model in the format of Keras 3.
///
/// # Errors
/// If the layers are incompatible.
pub(in crate::saving) fn to_json(network: &Network) -> Result<Value> {
    network.check()?;
    Ok(match network.class {
        ModelClass::Sequential => sequential(network),
        ModelClass::Functional => functional(network),
    })
}

fn sequential(network: &Network) -> Value {
    let batch_shape = keras_shape(&network.input_shape);
    let layers: Vec<Value> =
        std::iter::once(input(network)).chain(network.layers.iter().map(|placed| layer(network, placed))).collect();
    json!({
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
    })
}

/// The layers in Keras' order, each with its name and inputs.
fn functional(network: &Network) -> Value {
    let layers = network.ordered().into_iter().map(|node| {
        let mut json = node.layer().map_or_else(|| input(network), |index| layer(network, &network.layers[index]));
        json["name"] = json!(network.name_of(node));
        json["inbound_nodes"] = match node.layer().map(|index| &network.layers[index]) {
            None => json!([]),
            Some(placed) => match placed.training {
                None => json!([{"args": [taken(network, placed)], "kwargs": kwargs(placed)}]),
                Some(training) => json!([taken_with_training(network, placed, training)]),
            },
        };
        json
    });
    json!({
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": network.name,
            "trainable": true,
            "layers": layers.collect::<Vec<_>>(),
            "input_layers": [network.input_name, 0, 0],
            "output_layers": [network.name_of(network.output), 0, 0],
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": null},
        "compile_config": {},
    })
}

/// The input of a layer: a tensor, or a list for several inputs.
fn taken(network: &Network, placed: &PlacedLayer) -> Value {
    let shapes = placed.shapes.iter().flat_map(|(inputs, _)| inputs);
    let tensors = placed.inputs.iter().zip(shapes).map(|(&input, shape)| {
        json!({
            "class_name": "__keras_tensor__",
            "config": {
                "shape": keras_shape(shape),
                "dtype": "float32",
                "keras_history": [network.name_of(input), 0, 0],
            },
        })
    });
    let mut tensors: Vec<Value> = tensors.collect();
    if placed.inputs.len() == 1 { tensors.remove(0) } else { json!(tensors) }
}

/// The inputs of a layer with a fixed `training`, in Keras 2's format, which Keras 3 and Kiln read, too. Keras 3's own
/// format only records how the layer was called when the model was built.
fn taken_with_training(network: &Network, placed: &PlacedLayer, training: bool) -> Value {
    let tensor = |&input| json!([network.name_of(input), 0, 0, {"training": training}]);
    placed.inputs.iter().map(tensor).collect()
}

/// The classes whose constructors in Keras have no `trainable`, and that write the name of their dtype.
const WITHOUT_TRAINABLE: [&str; 1] = ["SpatialDropout2D"];

/// The other arguments of Keras' call of a layer.
fn kwargs(placed: &PlacedLayer) -> Value {
    match placed.layer.class_name() {
        "BatchNormalization" => json!({"mask": null}),
        "Dropout" | "GaussianNoise" | "SpatialDropout2D" => json!({"training": false}),
        "Resizing" => json!({"training": true}),
        _ => json!({}),
    }
}

fn input(network: &Network) -> Value {
    json!({
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {
            "batch_shape": keras_shape(&network.input_shape),
            "dtype": "float32",
            "sparse": false,
            "ragged": false,
            "name": network.input_name,
            "optional": false,
        },
        "registered_name": null,
    })
}

fn layer(network: &Network, placed: &PlacedLayer) -> Value {
    let common = [("name", json!(placed.name)), ("trainable", json!(placed.trainable)), ("dtype", dtype())];
    let common = common.map(|(key, value)| (key.to_owned(), value));
    let mut config: Map<String, Value> = common.into_iter().chain(placed.layer.config()).collect();
    let (module, class) = (placed.layer.module(), placed.layer.class_name());
    if WITHOUT_TRAINABLE.contains(&class) {
        config.remove("trainable");
        config.insert("dtype".to_owned(), "float32".into());
    }
    let name = registered_name(placed.layer.package(), class);
    let mut layer = json!({
        "module": module,
        "class_name": class,
        "config": config,
        "registered_name": (module != "keras.layers").then_some(name),
    });
    if let (true, Some((inputs, _))) = (placed.layer.has_build_config(), &placed.shapes) {
        layer["build_config"] = match &inputs[..] {
            [input] => json!({"input_shape": keras_shape(input)}),
            _ => json!({"input_shape": inputs.iter().map(keras_shape).collect::<Vec<_>>()}),
        };
    }
    if let Some(groups) = groups::member(network, placed) {
        layer[groups::MEMBER] = groups;
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
