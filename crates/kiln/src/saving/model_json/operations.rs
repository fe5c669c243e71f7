//! Operations on the outputs of layers, which Keras 3 writes for `x + y`, `2 * x` or `keras.ops.maximum(x, y)`: layers that
//! compute the same.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::keras_object::{shown, unknown};
use crate::layers::{Add, GetItem, Item, Layer, Maximum, Minimum, Multiply, Rescaling, Subtract};

/// The layer of an operation's class.
///
/// # Errors
/// If Kiln has no such operation, or not with these arguments, or it is called several times: each call may have other
/// numbers.
pub(super) fn operation(json: &Value, class: &str, config: &Map<String, Value>) -> Result<Arc<dyn Layer>, String> {
    if let Some((member, value)) = config.iter().find(|(_, value)| !value.is_null()) {
        return Err(unknown(member, value));
    }
    let calls = json.get("inbound_nodes").and_then(Value::as_array).map_or(0, Vec::len);
    if calls != 1 {
        return Err(format!("inbound_nodes: expected exactly one call of an operation of keras.ops, found {calls}"));
    }
    let arguments = json.pointer("/inbound_nodes/0/args").and_then(Value::as_array).map(Vec::as_slice);
    if class == "GetItem" {
        return Ok(Arc::new(get_item(arguments.unwrap_or_default())?));
    }
    let numbers = arguments.unwrap_or_default().iter().map(Value::as_f64).collect::<Vec<Option<f64>>>();
    match numbers[..] {
        [None, None] => {
            check_ranks(arguments.unwrap_or_default())?;
            of_tensors(class)
        }
        [None, Some(number)] => with_number(class, number),
        [Some(number), None] => from_number(class, number),
        _ => {
            let found = arguments.map_or("none".to_owned(), |found| shown(&found.into()));
            return Err(format!("args: expected two tensors, or a tensor and a number, found {found}"));
        }
    }
    .ok_or_else(|| {
        let known = "Kiln has add, subtract, multiply, maximum and minimum of two tensors, and add, subtract, multiply and \
                     divide of a tensor and a number";
        format!("Kiln has no such operation of keras.ops with these arguments; {known}")
    })
}

/// The layer of `x[key]`.
fn get_item(arguments: &[Value]) -> Result<GetItem, String> {
    let [tensor, key] = arguments else {
        return Err(format!("args: expected a tensor and a key, found {}", shown(&arguments.into())));
    };
    let unknown = |found: &Value| {
        format!(
            "args: expected indices and slices with a step of 1, and the batch whole, as in x[:, 0, 1:3], found {}",
            shown(found)
        )
    };
    let rank = tensor.pointer("/config/shape").and_then(Value::as_array).map_or(0, Vec::len);
    let given = key.as_array().map_or(std::slice::from_ref(key), Vec::as_slice);
    let is_ellipsis = |item: &Value| item["class_name"] == "__ellipsis__";
    let mut items = Vec::new();
    for item in given {
        match is_ellipsis(item) {
            true => items.extend(vec![Item::from(..); (rank + 1).saturating_sub(given.len())]),
            false => items.push(read_item(item).ok_or_else(|| unknown(item))?),
        }
    }
    match items.split_first() {
        Some((batch, items)) if *batch == Item::from(..) => Ok(GetItem::new(items)),
        _ => Err(unknown(key)),
    }
}

fn read_item(json: &Value) -> Option<Item> {
    if json["class_name"] != "__slice__" {
        return json.as_i64().map(Item::Index);
    }
    let end = |name: &str| match &json["config"][name] {
        Value::Null => Some(None),
        number => number.as_i64().map(Some),
    };
    let is_adjacent = matches!(end("step"), Some(None | Some(1)));
    Some(Item::Range { start: end("start")?, stop: end("stop")? }).filter(|_| is_adjacent)
}

/// The key of `x[key]` in Keras' format, from the arguments of the layer.
pub(super) fn key(config: &Map<String, Value>) -> Value {
    let slice = |start: &Value, stop: &Value| json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": null}});
    let item = |item: &Value| match item.as_object() {
        Some(range) => slice(&range["start"], &range["stop"]),
        None => item.clone(),
    };
    let items = config.get("key").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    std::iter::once(slice(&Value::Null, &Value::Null)).chain(items.iter().map(item)).collect()
}

/// Keras aligns tensors of different rank at their last axes, and so the samples of one with an inner axis of the other;
/// Kiln's layers compute sample by sample.
fn check_ranks(arguments: &[Value]) -> Result<(), String> {
    let shapes = arguments.iter().filter_map(|argument| argument.pointer("/config/shape"));
    let shapes: Vec<&Value> = shapes.filter(|shape| shape.is_array()).collect();
    let axes = |shape: &Value| shape.as_array().map(Vec::len);
    match shapes[..] {
        [a, b] if axes(a) != axes(b) => Err(format!(
            "args: expected two tensors with equally many axes, found the shapes {} and {}; reshape one of them",
            shown(a),
            shown(b)
        )),
        _ => Ok(()),
    }
}

fn of_tensors(class: &str) -> Option<Arc<dyn Layer>> {
    Some(match class {
        "Add" => Arc::new(Add::default()),
        "Maximum" => Arc::new(Maximum::default()),
        "Minimum" => Arc::new(Minimum::default()),
        "Multiply" => Arc::new(Multiply::default()),
        "Subtract" => Arc::new(Subtract::default()),
        _ => return None,
    })
}

/// `x + number` and so on.
fn with_number(class: &str, number: f64) -> Option<Arc<dyn Layer>> {
    rescaling(match class {
        "Add" => [1.0, number],
        "Subtract" => [1.0, -number],
        "Multiply" => [number, 0.0],
        "Divide" | "TrueDivide" if number != 0.0 => [1.0 / number, 0.0],
        _ => return None,
    })
}

/// `number - x` and so on.
fn from_number(class: &str, number: f64) -> Option<Arc<dyn Layer>> {
    rescaling(match class {
        "Add" => [1.0, number],
        "Subtract" => [-1.0, number],
        "Multiply" => [number, 0.0],
        _ => return None,
    })
}

fn rescaling([scale, offset]: [f64; 2]) -> Option<Arc<dyn Layer>> {
    Some(Arc::new(Rescaling::new(scale).offset(offset)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn read(class: &str, arguments: Value) -> Result<String, String> {
        let json = json!({"inbound_nodes": [{"args": arguments}]});
        operation(&json, class, &Map::new()).map(|layer| format!("{layer:?}"))
    }

    #[test]
    fn numbers_are_arguments_of_a_rescaling() {
        let rescaling = |scale: f64, offset: f64| Ok(format!("{:?}", Rescaling::new(scale).offset(offset)));
        let x = || json!({"class_name": "__keras_tensor__"});
        assert_eq!(read("Add", json!([x(), 3.0])), rescaling(1.0, 3.0));
        assert_eq!(read("Subtract", json!([x(), 3])), rescaling(1.0, -3.0));
        assert_eq!(read("Subtract", json!([3, x()])), rescaling(-1.0, 3.0));
        assert_eq!(read("Multiply", json!([0.5, x()])), rescaling(0.5, 0.0));
        assert_eq!(read("TrueDivide", json!([x(), 4.0])), rescaling(0.25, 0.0));
        assert_eq!(read("Maximum", json!([x(), x()])), Ok(format!("{:?}", Maximum::default())));
    }

    #[test]
    fn several_calls_are_an_error_as_each_has_its_own_numbers() {
        let call = |number: f64| json!({"args": [{"class_name": "__keras_tensor__"}, number]});
        let json = json!({"inbound_nodes": [call(1.0), call(2.0)]});
        let error = operation(&json, "Add", &Map::new()).map(|layer| format!("{layer:?}")).unwrap_err();
        assert_eq!(error, "inbound_nodes: expected exactly one call of an operation of keras.ops, found 2");
    }

    #[test]
    fn tensors_of_different_rank_are_an_error_as_keras_aligns_their_batches() {
        let x = |shape: Value| json!({"class_name": "__keras_tensor__", "config": {"shape": shape}});
        let (picture, vector) = (|| x(json!([null, 4, 4, 3])), || x(json!([null, 3])));
        let error = read("Add", json!([picture(), vector()])).unwrap_err();
        let expected = "args: expected two tensors with equally many axes, found the shapes [null,4,4,3] and [null,3]";
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(read("Add", json!([picture(), picture()])), Ok(format!("{:?}", Add::default())));
    }

    #[test]
    fn items_are_read_and_written_as_keras_writes_them() {
        let x = || json!({"class_name": "__keras_tensor__", "config": {"shape": [null, 4, 3, 2]}});
        let slice = |start: Value, stop: Value, step: Value| json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}});
        let all = || slice(Value::Null, Value::Null, Value::Null);
        let ellipsis = || json!({"class_name": "__ellipsis__", "config": {}});
        let item = |key: Value| get_item(&[x(), key]).map(|layer| layer.key);
        let some = || slice(1.into(), Value::Null, Value::Null);
        assert_eq!(item(json!([all(), 0, some()])), Ok(vec![0.into(), (1..).into()]));
        assert_eq!(item(json!([ellipsis(), -1])), Ok(vec![(..).into(), (..).into(), (-1).into()]));
        assert_eq!(item(all()), Ok(vec![]));
        for layer in [GetItem::new([0.into(), (1..).into()]), GetItem::new([(..-1).into()])] {
            assert_eq!(get_item(&[x(), key(&layer.config())]), Ok(layer));
        }
        let every_second = json!([all(), slice(Value::Null, Value::Null, 2.into())]);
        for wrong in [json!(0), json!([0, all()]), every_second, json!([all(), null])] {
            let error = item(wrong).unwrap_err();
            assert!(
                error.starts_with("args: expected indices and slices with a step of 1, and the batch whole"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_not_computed_is_named() {
        let x = || json!({"class_name": "__keras_tensor__"});
        for arguments in [json!([1.0, x()]), json!([x(), 0.0])] {
            let error = read("TrueDivide", arguments).unwrap_err();
            assert!(error.starts_with("Kiln has no such operation of keras.ops with these arguments"), "{error}");
        }
        let error = read("Add", json!([x()])).unwrap_err();
        assert!(error.starts_with("args: expected two tensors, or a tensor and a number, found"), "{error}");
        let config = json!({"axis": 1}).as_object().cloned().unwrap();
        assert_eq!(
            operation(&json!({}), "Add", &config).unwrap_err(),
            "axis: Kiln does not know this argument, found 1"
        );
    }
}
