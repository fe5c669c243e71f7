use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{ZeroPad2d, ZeroPad2dGradient};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer, PaddingWidths};

/// `y[n, h, w, c] = x[n, top + h, left + w, c]`: images without their margins.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[height - top - bottom, width - left - right, channels]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cropping2D {
    /// Rows above and below, columns to the left and right: `[[top, bottom], [left, right]]`.
    #[serde(default, deserialize_with = "widths")]
    pub cropping: [[usize; 2]; 2],
}

impl Cropping2D {
    /// Removes margins of this width: `1` on all sides, `[rows, columns]` or `[[top, bottom], [left, right]]`.
    pub fn new(cropping: impl Into<PaddingWidths>) -> Cropping2D {
        Cropping2D { cropping: cropping.into().sides() }
    }
}

fn widths<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[[usize; 2]; 2], D::Error> {
    PaddingWidths::deserialize(deserializer).map(PaddingWidths::sides)
}

impl Layer for Cropping2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let Some([height, width, channels]) = input.dims() else {
            return Err(BuildError::input("an input [height, width, channels]"));
        };
        let left = |extent: usize, [before, after]: [usize; 2]| {
            extent.checked_sub(before.saturating_add(after)).filter(|&left| left > 0)
        };
        match (left(height, self.cropping[0]), left(width, self.cropping[1])) {
            (Some(height), Some(width)) => Ok(Shape::from([height, width, channels])),
            _ => {
                let expected = format!("fewer than {height} rows and {width} columns, those of the image");
                Err(BuildError::argument("cropping", expected, format!("{:?}", self.cropping)))
            }
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        call.add(ZeroPad2dGradient { pad: ZeroPad2d { padding: self.cropping } }, &[call.input()])
    }
}

impl Saved for Cropping2D {
    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn an_image_keeps_at_least_one_pixel() {
        assert_eq!(Cropping2D::new([[1, 0], [2, 1]]).output_shape(&[5, 6, 3].into()), Ok([4, 3, 3].into()));
        let error = Cropping2D::new([[1, 0], [2, 4]]).output_shape(&[5, 6, 3].into()).unwrap_err().to_string();
        let expected = "cropping: expected fewer than 5 rows and 6 columns, those of the image";
        assert_eq!(error, format!("{expected}, found [[1, 0], [2, 4]]"));
    }
}
