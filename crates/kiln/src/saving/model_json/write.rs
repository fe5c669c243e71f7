//! Writes a model in Keras' format.

use kiln_graph::Shape;
use serde_json::{Map, Value, json};

use super::groups;
use super::operations::key;
use crate::Result;
use crate::layers::registered_name;
use crate::network::{Input, Member, MemberCall, ModelClass, Network, Output, PlacedLayer, Scope, own_name};

/// The model in the format of Keras 3.
///
/// # Errors
/// If the layers are incompatible.
pub(in crate::saving) fn to_json(network: &Network) -> Result<Value> {
    network.check()?;
    Ok(Writer { network, model: None, scope: network.scope(None) }.json())
}

/// Writes a network (`None`) or a model within it.
struct Writer<'a> {
    network: &'a Network,
    model: Option<usize>,
    scope: Scope,
}

impl Writer<'_> {
    fn json(&self) -> Value {
        match self.network.class_in_files(self.model) {
            ModelClass::Sequential => self.sequential(),
            ModelClass::Functional => self.functional(),
        }
    }

    fn name(&self) -> &str {
        self.model.map_or(&self.network.name, |model| self.network.nested[model].own_name())
    }

    fn inputs(&self) -> &[Input] {
        self.network.inputs_of(self.model)
    }

    fn sequential(&self) -> Value {
        let batch_shape = keras_shape(&self.inputs()[0].shape);
        let layers: Vec<Value> = self.scope.members.iter().map(|&member| self.member(member)).collect();
        json!({
            "module": "keras",
            "class_name": "Sequential",
            "config": {
                "name": self.name(),
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
    fn functional(&self) -> Value {
        let calls = self.scope.calls_of();
        let layers = self.scope.members.iter().map(|member| {
            let mut json = self.member(*member);
            json["name"] = json!(self.network.member_name(self.model, *member));
            let calls = calls[member].iter().filter(|call| !matches!(call.member, Member::Input(_)));
            json["inbound_nodes"] = calls.map(|call| self.call(call)).collect();
            json
        });
        let layers: Vec<Value> = layers.collect();
        json!({
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": {
                "name": self.name(),
                "trainable": true,
                "layers": layers,
                "input_layers": self.ends(&self.scope.inputs),
                "output_layers": self.ends(&self.scope.outputs),
            },
            "registered_name": "Functional",
            "build_config": {"input_shape": null},
            "compile_config": {},
        })
    }

    fn member(&self, member: Member) -> Value {
        match member {
            Member::Input(index) => input(&self.inputs()[index]),
            Member::Layer(first) => layer(self.network, &self.network.layers[first]),
            Member::Model(model) => {
                Writer { network: self.network, model: Some(model), scope: self.network.scope(Some(model)) }.json()
            }
        }
    }

    /// The layer of a call, at this call.
    fn placed(&self, call: &MemberCall) -> Option<&PlacedLayer> {
        let is_layer = matches!(call.member, Member::Layer(_));
        let layer = call.outputs.first().filter(|_| is_layer).and_then(|output| output.layer());
        layer.map(|index| &self.network.layers[index])
    }

    fn call(&self, call: &MemberCall) -> Value {
        match self.placed(call) {
            Some(placed) if placed.layer.module() == OPERATIONS => {
                json!({"args": [self.tensors(call), key(&placed.layer.config())], "kwargs": {}})
            }
            Some(placed) => match placed.training {
                None => json!({"args": [self.tensors(call)], "kwargs": kwargs(placed)}),
                Some(training) => self.tensors_with_training(call, training),
            },
            None => {
                let mask =
                    if call.inputs.len() == 1 { Value::Null } else { json!(vec![Value::Null; call.inputs.len()]) };
                json!({"args": [self.tensors(call)], "kwargs": {"mask": mask}})
            }
        }
    }

    /// The place of an output: the name of the layer, the index of the call, and that of the output.
    fn history(&self, output: &Output) -> [Value; 3] {
        let call = &self.scope.calls[output.call];
        [json!(self.network.member_name(self.model, call.member)), json!(call.number), json!(output.index)]
    }

    /// The inputs or outputs of the model: one place, or a list of several. Keras counts the call with which a functional
    /// model was built here.
    fn ends(&self, ends: &[Output]) -> Value {
        let end = |end: &Output| {
            let [name, mut call, index] = self.history(end);
            let MemberCall { member, number, .. } = self.scope.calls[end.call];
            if let Member::Model(model) = member
                && self.network.class_in_files(Some(model)) == ModelClass::Functional
            {
                call = json!(number + 1);
            }
            json!([name, call, index])
        };
        let mut ends: Vec<Value> = ends.iter().map(end).collect();
        if ends.len() == 1 { ends.remove(0) } else { json!(ends) }
    }

    /// The input of a layer: a tensor, or a list for several inputs and for a merge.
    fn tensors(&self, call: &MemberCall) -> Value {
        let tensors = call.inputs.iter().map(|input| {
            let node = self.scope.calls[input.call].outputs[input.index];
            json!({
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": self.network.shape(node).map(keras_shape),
                    "dtype": "float32",
                    "keras_history": self.history(input),
                },
            })
        });
        let mut tensors: Vec<Value> = tensors.collect();
        let merges = MERGES.contains(&self.network.member_class(call.member));
        if tensors.len() == 1 && !merges { tensors.remove(0) } else { json!(tensors) }
    }

    /// The inputs of a layer with a fixed `training`, in Keras 2's format, which Keras 3 and Kiln read, too. Keras 3's own
    /// format only records how the layer was called when the model was built.
    fn tensors_with_training(&self, call: &MemberCall, training: bool) -> Value {
        let tensor = |input: &Output| {
            let [name, call, index] = self.history(input);
            json!([name, call, index, {"training": training}])
        };
        call.inputs.iter().map(tensor).collect()
    }
}

/// The classes whose constructors in Keras have no `trainable`, and that write the name of their dtype.
const WITHOUT_TRAINABLE: [&str; 1] = ["SpatialDropout2D"];

/// The classes whose argument in Keras is a list, also of one tensor.
const MERGES: [&str; 7] = ["Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"];

/// The module of Keras' operations, which have no configuration: the arguments of `GetItem` are those of the call.
const OPERATIONS: &str = "keras.src.ops.numpy";

/// The other arguments of Keras' call of a layer.
fn kwargs(placed: &PlacedLayer) -> Value {
    match placed.layer.class_name() {
        "BatchNormalization" | "Softmax" => json!({"mask": null}),
        "Dropout" | "GaussianNoise" | "SpatialDropout2D" => json!({"training": false}),
        // Keras records the default of its argument, not a mode.
        "Resizing" | "RandomBrightness" | "RandomContrast" | "RandomFlip" | "RandomRotation" | "RandomTranslation"
        | "RandomZoom" => json!({"training": true}),
        _ => json!({}),
    }
}

fn input(Input { name, shape }: &Input) -> Value {
    json!({
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {
            "batch_shape": keras_shape(shape),
            "dtype": "float32",
            "sparse": false,
            "ragged": false,
            "name": name,
            "optional": false,
        },
        "registered_name": null,
    })
}

fn layer(network: &Network, placed: &PlacedLayer) -> Value {
    let common = [("name", json!(own_name(&placed.name))), ("trainable", json!(placed.trainable)), ("dtype", dtype())];
    let common = common.map(|(key, value)| (key.to_owned(), value));
    let mut config: Map<String, Value> = common.into_iter().chain(placed.layer.config()).collect();
    let (module, class) = (placed.layer.module(), placed.layer.class_name());
    if module == OPERATIONS {
        config.retain(|argument, _| argument == "name");
    }
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
            [input] if !MERGES.contains(&class) => json!({"input_shape": keras_shape(input)}),
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
