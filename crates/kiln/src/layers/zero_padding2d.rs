use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::ZeroPad2d;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y[n, top + h, left + w, c] = x[n, h, w, c]`, 0 elsewhere.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[top + height + bottom, left + width + right, channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZeroPadding2D {
    /// Rows above and below, columns to the left and right: `[[top, bottom], [left, right]]`.
    #[serde(default = "one", deserialize_with = "widths")]
    pub padding: [[usize; 2]; 2],
}

/// The widths of a padding, in one of Keras' three forms.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number, [rows, columns] or [[top, bottom], [left, right]]")]
pub enum PaddingWidths {
    /// The same number of rows and columns on all sides.
    All(usize),
    /// Rows above and below, columns to the left and right.
    Symmetric([usize; 2]),
    /// `[[top, bottom], [left, right]]`.
    Sides([[usize; 2]; 2]),
}

impl From<usize> for PaddingWidths {
    fn from(width: usize) -> PaddingWidths {
        PaddingWidths::All(width)
    }
}

impl From<[usize; 2]> for PaddingWidths {
    fn from(widths: [usize; 2]) -> PaddingWidths {
        PaddingWidths::Symmetric(widths)
    }
}

impl From<[[usize; 2]; 2]> for PaddingWidths {
    fn from(sides: [[usize; 2]; 2]) -> PaddingWidths {
        PaddingWidths::Sides(sides)
    }
}

impl PaddingWidths {
    /// `[[top, bottom], [left, right]]`.
    pub(super) fn sides(self) -> [[usize; 2]; 2] {
        match self {
            PaddingWidths::All(width) => [[width; 2]; 2],
            PaddingWidths::Symmetric([rows, columns]) => [[rows; 2], [columns; 2]],
            PaddingWidths::Sides(sides) => sides,
        }
    }
}

impl ZeroPadding2D {
    /// A padding of this width: `1` on all sides, `[rows, columns]` or `[[top, bottom], [left, right]]`.
    pub fn new(padding: impl Into<PaddingWidths>) -> ZeroPadding2D {
        ZeroPadding2D { padding: padding.into().sides() }
    }
}

fn one() -> [[usize; 2]; 2] {
    [[1; 2]; 2]
}

fn widths<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[[usize; 2]; 2], D::Error> {
    PaddingWidths::deserialize(deserializer).map(PaddingWidths::sides)
}

impl Layer for ZeroPadding2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let [[top, bottom], [left, right]] = self.padding;
        let Some([height, width, channels]) = input.dims() else {
            return Err(BuildError::input("an input [height, width, channels]"));
        };
        let padded = |extent: usize, before: usize, after| extent.saturating_add(before).saturating_add(after);
        Ok(Shape::from([padded(height, top, bottom), padded(width, left, right), channels]))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        call.add(ZeroPad2d { padding: self.padding }, &[call.input()])
    }
}

impl Saved for ZeroPadding2D {
    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}
