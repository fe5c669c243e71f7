//! `--augment`: Keras' arguments of ImageDataGenerator in words.

use kiln::augmentation::Augmentation;
use serde_json::{Map, Value};

use crate::error::Error;

/// What `--augment` means without a value: changes that leave small pictures recognisable.
pub const USUAL: &str = "width_shift_range=0.1,height_shift_range=0.1,horizontal_flip=true";

/// The arguments that a text gives as `name=value` with commas between them. A name alone means true; a value is a
/// number, true, false, a word or a list in brackets.
pub fn parse(text: &str) -> Result<Augmentation, Error> {
    let wrong = |problem: String| Error::Augmentation { found: text.to_owned(), problem };
    let mut arguments = Map::new();
    for part in parts(text) {
        let (name, value) = part.split_once('=').unwrap_or((part, "true"));
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        if arguments.insert(name.trim().to_owned(), value).is_some() {
            return Err(wrong(format!("{name} is there twice")));
        }
    }
    serde_json::from_value(Value::Object(arguments)).map_err(|error| wrong(error.to_string()))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn numbers_words_lists_and_flags_are_read() {
        let found = parse("rotation_range=15, zoom_range=[0.8,1.2],fill_mode=reflect,horizontal_flip").unwrap();
        let expected = Augmentation {
            rotation_range: 15.0,
            zoom_range: [0.8, 1.2].into(),
            fill_mode: kiln::augmentation::FillMode::Reflect,
            horizontal_flip: true,
            ..Augmentation::default()
        };
        assert_eq!(found, expected);
        assert!(parse(USUAL).is_ok());
        assert_eq!(parse("").unwrap(), Augmentation::default());
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = parse("rotation=15").unwrap_err().to_string();
        assert!(error.contains("rotation=15") && error.contains("unknown field `rotation`"), "{error}");
        let error = parse("rotation_range=1,rotation_range=2").unwrap_err().to_string();
        assert!(error.contains("rotation_range is there twice"), "{error}");
    }
}
