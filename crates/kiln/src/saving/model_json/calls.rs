//! How a layer is called within a model: `inbound_nodes`.

use serde_json::{Map, Value};

use crate::keras_object::{Package, check_members, shown};

/// The one call of a layer.
pub(super) struct Call<'a> {
    /// The names of the layers whose outputs it takes.
    pub inputs: Vec<&'a str>,
    /// Whether the layer is called as in a training step; as the model is, if nothing is said.
    pub training: Option<bool>,
}

/// Whether a layer is an operation of Keras 3: `keras.ops.add(x, y)`, which `x + y` makes, too.
pub(super) fn is_op(json: &Value) -> bool {
    json.get("module").and_then(Value::as_str).is_some_and(|module| Package::Ops.holds(module))
}

/// The call of a layer, in the form of Keras 3 or Keras 2.
///
/// # Errors
/// When it is called more than once, or with something other than layers' outputs and `training`.
pub(super) fn call(json: &Value) -> Result<Call<'_>, String> {
    let calls =
        json.get("inbound_nodes").and_then(Value::as_array).ok_or("expected a list `inbound_nodes`, found none")?;
    let [call] = calls.as_slice() else {
        return Err(format!(
            "inbound_nodes: expected a layer that is called once, found {} calls; Kiln has no shared layers",
            calls.len()
        ));
    };
    let call = if call.is_object() { keras3(json, call) } else { keras2(call) };
    call.map_err(|problem| format!("inbound_nodes: {problem}"))
}

/// `{"args": [tensors], "kwargs": {…}}`. Keras 3 writes how a layer was called when the model was built, and overrides
/// `training` when the model is fitted or predicts.
fn keras3<'a>(layer: &Value, call: &'a Value) -> Result<Call<'a>, String> {
    check_members(call, &["args", "kwargs"])?;
    training(call.get("kwargs").and_then(Value::as_object))?;
    let arguments = call.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tensors: Vec<&Value> = match arguments {
        [Value::Array(list)] => list.iter().collect(),
        [one] => vec![one],
        [first, second] if is_op(layer) => vec![first, second],
        _ => return Err(format!("expected one argument, a tensor or a list of tensors, found {}", arguments.len())),
    };
    let name = |tensor: &'a Value| {
        let history = tensor.pointer("/config/keras_history");
        let not_one = || format!("expected what a layer called once gives, found {}", shown(history.unwrap_or(tensor)));
        history.and_then(single).ok_or_else(not_one)
    };
    let inputs: Vec<&str> = tensors.into_iter().map(name).collect::<Result<_, String>>()?;
    some(inputs, None, call)
}

/// `[[name, node, tensor, {…}], …]`, with the other arguments of the call behind each tensor. They hold in every call of
/// the model.
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
        let name = first_of(place).ok_or_else(|| format!("expected what a layer called once gives, found {tensor}"))?;
        inputs.push(name);
        let training = training(arguments)?;
        if all.replace(training).is_some_and(|before| before != training) {
            return Err(format!("training: expected one value for all inputs, found {}", shown(call)));
        }
    }
    some(inputs, all.flatten(), call)
}

fn some<'a>(inputs: Vec<&'a str>, training: Option<bool>, call: &Value) -> Result<Call<'a>, String> {
    if inputs.is_empty() {
        return Err(format!("expected the tensors that the layer takes, found {}", shown(call)));
    }
    Ok(Call { inputs, training })
}

/// What the other arguments of a call say of `training`. Arguments that are null were not given.
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

/// The layer of `[name, 0, 0]` (Keras 3) or `[[name, 0, 0]]` (Keras 2).
pub(super) fn single(json: &Value) -> Option<&str> {
    match json.as_array()?.as_slice() {
        [only] => single(only),
        [name, node, tensor] => first_of([name, node, tensor]),
        _ => None,
    }
}

/// The layer of a tensor that is the only one of the layer's only call.
fn first_of([name, node, tensor]: [&Value; 3]) -> Option<&str> {
    let zero = |value: &Value| value.as_u64() == Some(0);
    (zero(node) && zero(tensor)).then(|| name.as_str())?
}
