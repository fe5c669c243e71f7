use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Resize;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::{Saved, pair};
use super::{BuildError, Call, Layer};

/// The values between the pixels of an image that is resized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The value of the pixel whose area holds the point.
    #[default]
    Nearest,
    /// Linear in both directions between the centres of pixels.
    Bilinear,
}

/// The most pixels along an axis of an image that is resized.
pub(super) const MOST_PIXELS: usize = (1 << 15) - 1;

/// Enlarges images by whole factors.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[size[0] height, size[1] width, channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpSampling2D {
    /// The factors of height and width, 1 or more.
    #[serde(default = "two", deserialize_with = "pair")]
    pub size: [usize; 2],
    /// The values between pixels. Kiln has nearest and bilinear.
    #[serde(default)]
    pub interpolation: Interpolation,
}

impl UpSampling2D {
    /// Repeats each pixel `size[0]` times downwards and `size[1]` times to the right.
    pub fn new(size: [usize; 2]) -> UpSampling2D {
        UpSampling2D { size, interpolation: Interpolation::Nearest }
    }

    /// Sets the values between pixels.
    pub fn interpolation(self, interpolation: Interpolation) -> UpSampling2D {
        UpSampling2D { interpolation, ..self }
    }
}

impl Default for UpSampling2D {
    /// Keras' defaults: a factor of 2, and the nearest pixel.
    fn default() -> UpSampling2D {
        UpSampling2D::new(two())
    }
}

fn two() -> [usize; 2] {
    [2; 2]
}

impl Layer for UpSampling2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let Some([height, width, channels]) = input.dims() else {
            return Err(BuildError::input("an input [height, width, channels]"));
        };
        let [down, right] = self.size;
        let [rows, columns] = [height.saturating_mul(down), width.saturating_mul(right)];
        if self.size.contains(&0) || rows > MOST_PIXELS || columns > MOST_PIXELS {
            let expected = format!("factors of 1 or more, and at most {MOST_PIXELS} rows and columns of the result");
            return Err(BuildError::argument("size", expected, format!("{:?}", self.size)));
        }
        Ok(Shape::from([rows, columns, channels]))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let [_, height, width, _] = call.shape(call.input()).dims().unwrap_or_default();
        let size = [height * self.size[0], width * self.size[1]];
        call.add(Resize { size, nearest: self.interpolation == Interpolation::Nearest }, &[call.input()])
    }
}

impl Saved for UpSampling2D {
    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}
