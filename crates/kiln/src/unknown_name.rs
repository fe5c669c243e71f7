//! The error of a text that is none of a list of names.

/// A text that is no name of what it is read as: the error of each [`FromStr`](std::str::FromStr) of Kiln.
///
/// # Example
/// ```
/// use kiln::layers::Activation;
///
/// let unknown = "reluu".parse::<Activation>().unwrap_err();
/// assert!(unknown.to_string().starts_with("expected one of linear, softmax, relu"));
/// assert_eq!(unknown.found, "reluu");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {expected}; found `{found}`")]
pub struct UnknownName {
    /// The names that are known, with commas between them.
    pub expected: String,
    /// The text.
    pub found: String,
}

impl UnknownName {
    pub(crate) fn new(known: &[&str], found: &str) -> UnknownName {
        UnknownName { expected: known.join(", "), found: found.to_owned() }
    }
}
