//! The reasons why layers cannot be exported.

/// The reason why a layer cannot be exported.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Keras' name of the argument, if it is not the layer as a whole.
    pub argument: Option<&'static str>,
    pub expected: String,
    pub found: String,
}

impl Misfit {
    pub fn argument(argument: &'static str, expected: impl Into<String>, found: impl ToString) -> Misfit {
        Misfit { argument: Some(argument), expected: expected.into(), found: found.to_string() }
    }

    pub fn layer(expected: impl Into<String>, found: impl Into<String>) -> Misfit {
        Misfit { argument: None, expected: expected.into(), found: found.into() }
    }
}
