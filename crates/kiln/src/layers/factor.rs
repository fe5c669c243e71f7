//! The factors of layers that change images at random: a number, or the lower and the upper bound.

use serde::{Deserialize, Deserializer, Serialize};

use super::BuildError;

/// The range of a random factor, as in Keras: one number `f` for `-f` to `f`, or the two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or two")]
pub enum Factor {
    /// From `-|f|` to `|f|`.
    UpTo(f64),
    /// Between these two, in either order.
    Between([f64; 2]),
}

impl From<f64> for Factor {
    fn from(factor: f64) -> Factor {
        Factor::UpTo(factor)
    }
}

impl From<[f64; 2]> for Factor {
    fn from(bounds: [f64; 2]) -> Factor {
        Factor::Between(bounds)
    }
}

impl Factor {
    /// The lower and the upper bound.
    pub(super) fn range(self) -> [f64; 2] {
        match self {
            Factor::UpTo(factor) => [-factor.abs(), factor.abs()],
            Factor::Between([a, b]) if b < a => [b, a],
            Factor::Between(bounds) => bounds,
        }
    }

    /// Reads the lower and the upper bound.
    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 2], D::Error> {
        Factor::deserialize(deserializer).map(Factor::range)
    }
}

/// Checks that both bounds are from -1 to 1.
///
/// # Errors
/// If they are not.
pub(super) fn check(argument: &'static str, range: [f64; 2]) -> Result<(), BuildError> {
    match range.iter().all(|bound| (-1.0..=1.0).contains(bound)) {
        true => Ok(()),
        false => Err(BuildError::argument(argument, "a number or two, each from -1 to 1", format!("{range:?}"))),
    }
}
