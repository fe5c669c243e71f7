//! Option values of the form `name=value,…`, for example `factor=0.5,patience=3`.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Parses arguments. A bare name means true; a value is a number, true, false, a word or a list in brackets.
///
/// # Errors
/// If a name is duplicate or unknown, or a value has the wrong type.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut arguments = Map::new();
    for part in parts(text) {
        let (name, value) = part.split_once('=').unwrap_or((part, "true"));
        let (name, value) = (name.trim(), value.trim());
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        if arguments.insert(name.to_owned(), value).is_some() {
            return Err(format!("duplicate argument {name}"));
        }
    }
    serde_json::from_value(Value::Object(arguments.clone())).map_err(|error| {
        let wrong = |(name, value): (String, Value)| problem::<T>(name, value);
        arguments.into_iter().find_map(wrong).unwrap_or_else(|| error.to_string())
    })
}

/// The error of an argument's type, if it has the wrong one.
fn problem<T: DeserializeOwned>(name: String, value: Value) -> Option<String> {
    let alone: Map<String, Value> = [(name.clone(), value.clone())].into_iter().collect();
    let error = serde_json::from_value::<T>(Value::Object(alone)).err()?.to_string();
    if error.starts_with("data did not match any variant") {
        return Some(format!("{name}: expected a number or a list of numbers, found `{}`", shown(&value)));
    }
    let wrong_kind = error.starts_with("invalid type: ") || error.starts_with("invalid value: ");
    let (_, expected) = error.rsplit_once(", expected ").filter(|_| wrong_kind)?;
    let expected = match expected {
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "a word",
        other => other,
    };
    Some(format!("{name}: expected {expected}, found `{}`", shown(&value)))
}

/// A value as in the text.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The parts between commas outside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0i32;
    let between = |letter: char| {
        depth += i32::from(letter == '[') - i32::from(letter == ']');
        letter == ',' && depth == 0
    };
    text.split(between).map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, dead_code)]

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Arguments {
        needed: f64,
        count: Option<usize>,
        flag: Option<bool>,
        word: Option<String>,
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_in_words() {
        let error = |text: &str| parse::<Arguments>(text).unwrap_err();
        assert_eq!(error("needed=1,count=\"4\""), "count: expected a whole number, 0 or more, found `4`");
        assert_eq!(error("needed=1,count=-1"), "count: expected a whole number, 0 or more, found `-1`");
        assert_eq!(error("needed=x"), "needed: expected a number, found `x`");
        assert_eq!(error("needed=1,flag=3"), "flag: expected true or false, found `3`");
        assert_eq!(error("needed=1,word=3"), "word: expected a word, found `3`");
        assert_eq!(error("count=3"), "missing field `needed`");
    }
}
