use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Resize;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::up_sampling2d::{Interpolation, MOST_PIXELS};
use super::{BuildError, Call, Layer};

/// Images of another size, without anti-aliasing and regardless of their aspect ratio.
///
/// # Shapes
/// In: `[any height, any width, channels]`. Out: `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resizing {
    /// The height of the result, in pixels.
    pub height: usize,
    /// The width of the result, in pixels.
    pub width: usize,
    /// The values between pixels. Kiln has nearest and bilinear.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
}

impl Resizing {
    /// A layer that resizes images to this height and width, bilinearly.
    pub fn new(height: usize, width: usize) -> Resizing {
        Resizing { height, width, interpolation: bilinear() }
    }

    /// Sets the values between pixels.
    pub fn interpolation(self, interpolation: Interpolation) -> Resizing {
        Resizing { interpolation, ..self }
    }
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

impl Layer for Resizing {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        for (argument, extent) in [("height", self.height), ("width", self.width)] {
            if extent == 0 || extent > MOST_PIXELS {
                return Err(BuildError::argument(argument, format!("1 to {MOST_PIXELS}"), extent));
            }
        }
        match input.dims() {
            Some([height, width, channels]) if height.max(width) <= MOST_PIXELS && height.min(width) > 0 => {
                Ok(Shape::from([self.height, self.width, channels]))
            }
            _ => Err(BuildError::input(format!("an input [1 to {MOST_PIXELS}, 1 to {MOST_PIXELS}, channels]"))),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let nearest = self.interpolation == Interpolation::Nearest;
        call.add(Resize { size: [self.height, self.width], nearest }, &[call.input()])
    }
}

impl Saved for Resizing {
    fn fixed() -> Value {
        json!({
            "data_format": "channels_last",
            "crop_to_aspect_ratio": false,
            "pad_to_aspect_ratio": false,
            "fill_mode": "constant",
            "fill_value": 0.0,
            "antialias": false,
        })
    }
}
