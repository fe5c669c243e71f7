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

/// The output of a layer's call: the name of the layer, and the index of the call.
pub(super) type Source<'a> = (&'a str, usize);

/// Whether a layer is an operation of Keras 3: `keras.ops.add(x, y)` or `x + y`.
pub(super) fn is_op(json: &Value) -> bool {
    json.get("module").and_then(Value::as_str).is_some_and(|module| Package::Ops.holds(module))
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
        // An operation's numbers are arguments of its layer.
        [first, second] if is_op(layer) => [first, second].into_iter().filter(|value| !value.is_number()).collect(),
        _ => return Err(format!("expected one argument, a tensor or a list of tensors, found {}", arguments.len())),
    };
    let name = |tensor: &'a Value| {
        let history = tensor.pointer("/config/keras_history");
        let not_one = || format!("expected the only output of a layer, found {}", shown(history.unwrap_or(tensor)));
        history.and_then(single).ok_or_else(not_one)
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
            [name, node, index] => ([name, node, index], None),
            [name, node, index, Value::Object(arguments)] => ([name, node, index], Some(arguments)),
            _ => return Err(format!("expected [layer, node, tensor, arguments], found {}", shown(tensor))),
        };
        inputs.push(output_of(place).ok_or_else(|| format!("expected the only output of a layer, found {tensor}"))?);
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

/// Reads `training` from the other arguments of a call. Null arguments are ignored.
fn training(arguments: Option<&Map<String, Value>>) -> Result<Option<bool>, String> {
    let mut training = None;
    for (name, value) in arguments.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match (name.as_str(), value) {
            ("training", Value::Bool(flag)) => training = Some(*flag),
            ("training", _) => return Err(format!("training: expected true or false, found {}", shown(value))),
            _ => return Err(format!("{name}: Kiln does not know this argument of a call, found {}", shown(value))),
        }
    }
    Ok(training)
}

/// The call of `[name, 0, 0]` (Keras 3) or `[[name, 0, 0]]` (Keras 2).
pub(super) fn single(json: &Value) -> Option<Source<'_>> {
    match json.as_array()?.as_slice() {
        [only] => single(only),
        [name, call, tensor] => output_of([name, call, tensor]),
        _ => None,
    }
}

/// The call of a tensor, if it is the only output of the call.
fn output_of([name, call, tensor]: [&Value; 3]) -> Option<Source<'_>> {
    let call = call.as_u64().and_then(|call| usize::try_from(call).ok())?;
    (tensor.as_u64() == Some(0)).then(|| Some((name.as_str()?, call)))?
}
