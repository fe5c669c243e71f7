//! `--augment`: the arguments of Keras' ImageDataGenerator as text.

use kiln::augmentation::Augmentation;

use super::spec;
use crate::error::Error;

/// The value of a bare `--augment`: transforms that keep small pictures recognisable.
pub const USUAL: &str = "width_shift_range=0.1,height_shift_range=0.1,horizontal_flip=true";

/// Parses the value of `--augment`; see [`spec::parse`].
pub fn parse(text: &str) -> Result<Augmentation, Error> {
    spec::parse(text).map_err(|problem| Error::Augmentation { found: text.to_owned(), problem })
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
        assert!(error.contains("duplicate argument rotation_range"), "{error}");
    }
}
