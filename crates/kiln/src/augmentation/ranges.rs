//! Arguments of an augmentation that have several forms, as in Keras.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shift of images along an axis: Keras' `width_shift_range` and `height_shift_range`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ShiftRange {
    /// An integer `n`: by `0..n` pixels in either direction. 0 is drawn twice as often as any other.
    Whole(u32),
    /// A float `f`, uniform in `[-f, f)`: a fraction of the image's size if it is below 1, else pixels.
    Range(f64),
    /// One of these values, in either direction: fractions of the image's size if all are below 1, else pixels. At most 16.
    List(Vec<f64>),
}

impl Default for ShiftRange {
    fn default() -> ShiftRange {
        ShiftRange::Range(0.0)
    }
}

impl From<f64> for ShiftRange {
    fn from(range: f64) -> ShiftRange {
        ShiftRange::Range(range)
    }
}

impl From<u32> for ShiftRange {
    fn from(count: u32) -> ShiftRange {
        ShiftRange::Whole(count)
    }
}

impl From<Vec<f64>> for ShiftRange {
    fn from(list: Vec<f64>) -> ShiftRange {
        ShiftRange::List(list)
    }
}

impl ShiftRange {
    /// The shift in pixels, for an image of this size in pixels.
    pub(super) fn pixels(&self, extent: usize) -> kiln_ops::Shift {
        let unit = |largest: f64| if largest < 1.0 { extent as f64 } else { 1.0 };
        match self {
            ShiftRange::Whole(count) => kiln_ops::Shift::Whole(*count),
            ShiftRange::Range(range) => kiln_ops::Shift::Uniform((range * unit(*range)) as f32),
            ShiftRange::List(list) => {
                let unit = unit(list.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                kiln_ops::Shift::OneOf(list.iter().map(|shift| (shift * unit) as f32).collect())
            }
        }
    }

    /// Whether there is no shift.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            ShiftRange::Whole(count) => *count <= 1,
            ShiftRange::Range(range) => *range == 0.0,
            ShiftRange::List(list) => list.iter().all(|&shift| shift == 0.0),
        }
    }

    /// Whether images of this size are shifted by whole pixels only.
    pub(super) fn is_whole(&self, extent: usize) -> bool {
        match self.pixels(extent) {
            kiln_ops::Shift::Uniform(most) => most == 0.0,
            kiln_ops::Shift::Whole(_) => true,
            kiln_ops::Shift::OneOf(choices) => choices.iter().all(|shift| shift.fract() == 0.0),
        }
    }

    /// The invalid value, if there is one.
    pub(super) fn problem(&self) -> Option<String> {
        let list = match self {
            ShiftRange::Whole(count) => return (*count >= 1 << 16).then(|| count.to_string()),
            ShiftRange::Range(range) => return (!range.is_finite() || *range < 0.0).then(|| range.to_string()),
            ShiftRange::List(list) => list,
        };
        let fits = (1..=16).contains(&list.len()) && list.iter().all(|shift| shift.is_finite());
        (!fits).then(|| format!("{list:?}"))
    }
}

/// The zoom of images: Keras' `zoom_range`. The factor scales distances in the original, so that 0.5 magnifies to twice
/// the size; it is drawn independently for the two axes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ZoomRange {
    /// A float `z`: uniform in `[1 - z, 1 + z)`.
    Range(f64),
    /// Uniform from the first to the second.
    Pair([f64; 2]),
}

impl Default for ZoomRange {
    fn default() -> ZoomRange {
        ZoomRange::Range(0.0)
    }
}

impl From<f64> for ZoomRange {
    fn from(range: f64) -> ZoomRange {
        ZoomRange::Range(range)
    }
}

impl From<[f64; 2]> for ZoomRange {
    fn from(pair: [f64; 2]) -> ZoomRange {
        ZoomRange::Pair(pair)
    }
}

impl ZoomRange {
    /// The minimum and maximum factor.
    pub(super) fn pair(self) -> [f64; 2] {
        match self {
            ZoomRange::Range(range) => [1.0 - range, 1.0 + range],
            ZoomRange::Pair(pair) => pair,
        }
    }
}

impl fmt::Display for ZoomRange {
    /// Prints the argument: `0.2` or `[0.8, 1.2]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ZoomRange::Range(range) => write!(f, "{range:?}"),
            ZoomRange::Pair(pair) => write!(f, "{pair:?}"),
        }
    }
}
