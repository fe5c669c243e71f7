//! The error of a text that is none of a list of names.

/// A text that is no name of what it is read as: the error of each [`FromStr`](std::str::FromStr) of Kiln.
///
/// # Example
/// ```
/// use kiln_graph::Precision;
///
/// let unknown = "half".parse::<Precision>().unwrap_err();
/// assert_eq!(unknown.to_string(), "expected one of float32, mixed; found `half`");
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
    /// The error of the text `found`, which is none of the `known` names.
    pub fn new(known: &[&str], found: &str) -> UnknownName {
        UnknownName { expected: known.join(", "), found: found.to_owned() }
    }
}
