//! The calls of layers in a model: `inbound_nodes`.

use serde_json::{Map, Value};

use crate::keras_object::{Package, check_members, shown};

/// A call of a layer.
pub(super) struct Call<'a> {
    /// The layers that it is connected to: their names, and the indices of their calls.
    pub inputs: Vec<Source<'a>>,
    /// Whether the layer is called as in training; `None` for the mode of the model.
    pub training: Option<bool>,
}

/// An output of a layer's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source<'a> {
    /// The name of the layer.
    pub layer: &'a str,
    /// The index of the call.
    pub call: usize,
    /// The index of the output: 0 but for models within.
    pub output: usize,
}

impl<'a> Source<'a> {
    /// `[name, call, output]`
    fn of(place: &'a [Value]) -> Option<Source<'a>> {
        let [layer, call, output] = place else { return None };
        let index = |json: &Value| json.as_u64().and_then(|index| usize::try_from(index).ok());
        Some(Source { layer: layer.as_str()?, call: index(call)?, output: index(output)? })
    }
}

/// Whether a layer is an operation of Keras 3: `keras.ops.add(x, y)` or `x + y`.
pub(super) fn is_op(json: &Value) -> bool {
    json.get("module").and_then(Value::as_str).is_some_and(|module| Package::Ops.holds(module))
}

/// Whether a layer is the operation `x[key]`.
fn is_get_item(json: &Value) -> bool {
    is_op(json) && json.get("class_name").and_then(Value::as_str) == Some("GetItem")
}

/// Reads the calls of a layer, in the format of Keras 3 or Keras 2. A shared layer has several.
///
/// # Errors
/// If it is not called, or with arguments other than layers' outputs and `training`.
pub(super) fn calls(json: &Value) -> Result<Vec<Call<'_>>, String> {
    let calls =
        json.get("inbound_nodes").and_then(Value::as_array).ok_or("expected a list `inbound_nodes`, found none")?;
    if calls.is_empty() {
        return Err("inbound_nodes: expected at least one call of the layer, found none".to_owned());
    }
    let call = |call| if Value::is_object(call) { keras3(json, call) } else { keras2(call) };
    calls.iter().map(|json| call(json).map_err(|problem| format!("inbound_nodes: {problem}"))).collect()
}

/// `{"args": [tensors], "kwargs": {…}}`. Keras 3 writes how a layer was called when the model was built, and overrides
/// `training` in fit and predict.
fn keras3<'a>(layer: &Value, call: &'a Value) -> Result<Call<'a>, String> {
    check_members(call, &["args", "kwargs"])?;
    training(call.get("kwargs").and_then(Value::as_object))?;
    let arguments = call.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tensors: Vec<&Value> = match arguments {
        [Value::Array(list)] => list.iter().collect(),
        [one] => vec![one],
        [first, _] if is_get_item(layer) => vec![first],
        // An operation's numbers are arguments of its layer.
        [first, second] if is_op(layer) => [first, second].into_iter().filter(|value| !value.is_number()).collect(),
        _ => return Err(format!("expected one argument, a tensor or a list of tensors, found {}", arguments.len())),
    };
    let name = |tensor: &'a Value| {
        let history = tensor.pointer("/config/keras_history");
        let unknown = || format!("expected the output of a layer, found {}", shown(history.unwrap_or(tensor)));
        history.and_then(Value::as_array).and_then(|place| Source::of(place)).ok_or_else(unknown)
    };
    let inputs: Vec<Source<'_>> = tensors.into_iter().map(name).collect::<Result<_, String>>()?;
    some(inputs, None, call)
}

/// `[[name, node, tensor, {…}], …]`, with the other arguments of the call after each tensor. They apply to every call
/// of the model.
fn keras2(call: &Value) -> Result<Call<'_>, String> {
    let mut all: Option<Option<bool>> = None;
    let mut inputs = Vec::new();
    for tensor in call.as_array().map(Vec::as_slice).unwrap_or_default() {
        let parts = tensor.as_array().map(Vec::as_slice).unwrap_or_default();
        let (place, arguments) = match parts {
            [place @ .., Value::Object(arguments)] => (place, Some(arguments)),
            place => (place, None),
        };
        let unknown = || format!("expected [layer, node, tensor, arguments], found {}", shown(tensor));
        inputs.push(Source::of(place).ok_or_else(unknown)?);
        let training = training(arguments)?;
        if all.replace(training).is_some_and(|before| before != training) {
            return Err(format!("training: expected one value for all inputs, found {}", shown(call)));
        }
    }
    some(inputs, all.flatten(), call)
}

fn some<'a>(inputs: Vec<Source<'a>>, training: Option<bool>, call: &Value) -> Result<Call<'a>, String> {
    if inputs.is_empty() {
        return Err(format!("expected the inputs of the layer, found {}", shown(call)));
    }
    Ok(Call { inputs, training })
}

/// Reads `training` from the other arguments of a call. Null arguments are ignored, and lists of them: a mask per input.
fn training(arguments: Option<&Map<String, Value>>) -> Result<Option<bool>, String> {
    let mut training = None;
    let is_null = |value: &Value| value.as_array().map_or(value.is_null(), |list| list.iter().all(Value::is_null));
    for (name, value) in arguments.into_iter().flatten().filter(|(_, value)| !is_null(value)) {
        match (name.as_str(), value) {
            ("training", Value::Bool(flag)) => training = Some(*flag),
            ("training", _) => return Err(format!("training: expected true or false, found {}", shown(value))),
            _ => return Err(format!("{name}: Kiln does not know this argument of a call, found {}", shown(value))),
        }
    }
    Ok(training)
}

/// Reads the inputs or outputs of a model: `[name, 0, 0]` for one, `[[name, 0, 0], …]`, or by their layers' names
/// `{name: [name, 0, 0], …}`, which Keras orders by name.
///
/// # Errors
/// If they are something else, or a name is not that of the layer.
pub(super) fn ends(json: &Value) -> Result<Vec<Source<'_>>, String> {
    match json {
        Value::Object(named) => {
            let mut named: Vec<(&String, &Value)> = named.iter().collect();
            named.sort_by_key(|(name, _)| *name);
            named.into_iter().map(|(name, json)| named_end(name, json)).collect()
        }
        Value::Array(list) if list.iter().all(Value::is_array) && !list.is_empty() => list.iter().map(end).collect(),
        one => Ok(vec![end(one)?]),
    }
}

fn end(json: &Value) -> Result<Source<'_>, String> {
    let place = json.as_array().and_then(|place| Source::of(place));
    place.ok_or_else(|| format!("expected [layer, call, output], found {}", shown(json)))
}

fn named_end<'a>(name: &str, json: &'a Value) -> Result<Source<'a>, String> {
    match end(json)? {
        found if found.layer == name => Ok(found),
        found => Err(format!("expected the name of the layer, {}, found the name {name}", found.layer)),
    }
}
