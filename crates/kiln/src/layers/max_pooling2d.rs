use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{MaxPool2d, Padding};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::saved::{Saved, complete_pooling, padding, pair};
use super::{BuildError, Call, Layer, window_grid};

/// `y[n, h, w, c] = max over r, s of x[n, h stride + r, w stride + s, c]`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[rows, columns, channels]`, with `ceil(n / stride)` rows and columns for
/// padding 'same' and `floor((n - window) / stride) + 1` for 'valid'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPooling2D {
    /// The height and width of a window.
    #[serde(deserialize_with = "pair")]
    pub pool_size: [usize; 2],
    /// The strides along height and width.
    #[serde(deserialize_with = "pair")]
    pub strides: [usize; 2],
    /// The padding at the edges. Padded cells are never the maximum.
    #[serde(with = "padding")]
    pub padding: Padding,
}

impl MaxPooling2D {
    /// Adjacent windows of this size with padding 'valid', as Keras' defaults.
    pub fn new(pool_size: [usize; 2]) -> MaxPooling2D {
        MaxPooling2D { pool_size, strides: pool_size, padding: Padding::Valid }
    }

    /// Sets the strides along height and width.
    pub fn strides(self, strides: [usize; 2]) -> MaxPooling2D {
        MaxPooling2D { strides, ..self }
    }

    /// Sets the padding at the edges.
    pub fn padding(self, padding: Padding) -> MaxPooling2D {
        MaxPooling2D { padding, ..self }
    }
}

impl Layer for MaxPooling2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        window_grid(input, ("pool_size", self.pool_size), self.strides, self.padding).map(Shape::from)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let MaxPooling2D { pool_size, strides, padding } = *self;
        call.add(MaxPool2d { pool_size, strides, padding }, &[call.input()])
    }
}

impl Saved for MaxPooling2D {
    const HAS_BUILD_CONFIG: bool = false;

    fn complete(config: &mut Map<String, Value>) {
        complete_pooling(config);
    }

    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}
