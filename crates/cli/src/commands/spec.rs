//! What an option says as `name=value` with commas between them, like `factor=0.5,patience=3`.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The arguments that a text names. A name alone means true; a value is a number, true, false, a word or a list in
/// brackets.
///
/// # Errors
/// What is wrong: a name that is there twice or is not known, or a value of the wrong kind.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut arguments = Map::new();
    for part in parts(text) {
        let (name, value) = part.split_once('=').unwrap_or((part, "true"));
        let (name, value) = (name.trim(), value.trim());
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        if arguments.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    serde_json::from_value(Value::Object(arguments)).map_err(|error| error.to_string())
}

/// What lies between the commas that are not inside brackets.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0i32;
    let between = |letter: char| {
        depth += i32::from(letter == '[') - i32::from(letter == ']');
        letter == ',' && depth == 0
    };
    text.split(between).map(str::trim).filter(|part| !part.is_empty()).collect()
}
