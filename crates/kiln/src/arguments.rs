//! The arguments of a loss or metric by name, for structs with fields named as Keras' arguments.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The arguments of a struct; empty without fields.
pub(crate) fn to_arguments(object: &impl Serialize) -> Map<String, Value> {
    serde_json::to_value(object).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default()
}

/// The struct with these arguments.
///
/// # Errors
/// If an argument is unknown, missing or has the wrong type.
pub(crate) fn from_arguments<T: DeserializeOwned>(arguments: &Map<String, Value>) -> Result<T, String> {
    // A struct without fields is null in JSON.
    match (serde_json::from_value(Value::Null), arguments.keys().next()) {
        (Ok(object), None) => Ok(object),
        (Ok(_), Some(argument)) => Err(format!("unknown field `{argument}`, expected no arguments")),
        (Err(_), _) => serde_json::from_value(Value::Object(arguments.clone())).map_err(|error| error.to_string()),
    }
}
