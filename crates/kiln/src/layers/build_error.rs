//! Why a layer cannot be built.

use std::fmt;

/// Why a layer cannot be built for its inputs: an input that it does not accept, or an argument outside its range.
///
/// # Example
/// ```
/// use kiln::layers::{BuildError, Dropout, Layer};
///
/// let error = Dropout::new(2.0).output_shape(&[4].into()).unwrap_err();
/// assert_eq!(error, BuildError::argument("rate", "0 to 1", 2));
/// assert_eq!(error.to_string(), "rate: expected 0 to 1, found 2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The layer does not accept its inputs. An error of the model names their shapes.
    #[error("expected {expected}")]
    Input {
        /// The inputs that the layer accepts: `an input [height, width, channels]`.
        expected: String,
    },
    /// An argument of the layer has a value outside its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Argument {
        /// Keras' name of the argument: `rate`.
        argument: &'static str,
        /// The range: `0 to 1`.
        expected: String,
        /// The value.
        found: String,
    },
}

impl BuildError {
    /// An input that the layer does not accept.
    pub fn input(expected: impl Into<String>) -> BuildError {
        BuildError::Input { expected: expected.into() }
    }

    /// An argument outside its range.
    pub fn argument(argument: &'static str, expected: impl Into<String>, found: impl fmt::Display) -> BuildError {
        BuildError::Argument { argument, expected: expected.into(), found: found.to_string() }
    }
}
