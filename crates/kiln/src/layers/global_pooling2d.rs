//! Pooling to one value per channel.

use kiln_graph::{Op, Result, Shape, Tensor};
use kiln_ops::{GlobalAvgPool2d, GlobalMaxPool2d};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y[n, c] = mean over h, w of x[n, h, w, c]`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[channels]`, or `[1, 1, channels]` with `keepdims`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GlobalAveragePooling2D {
    /// Whether to keep height and width as axes of extent 1.
    #[serde(default)]
    pub keepdims: bool,
}

/// `y[n, c] = max over h, w of x[n, h, w, c]`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[channels]`, or `[1, 1, channels]` with `keepdims`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GlobalMaxPooling2D {
    /// Whether to keep height and width as axes of extent 1.
    #[serde(default)]
    pub keepdims: bool,
}

impl GlobalAveragePooling2D {
    /// A pooling layer that removes height and width, as Keras' default.
    pub fn new() -> GlobalAveragePooling2D {
        GlobalAveragePooling2D::default()
    }

    /// Sets whether to keep height and width as axes of extent 1.
    pub fn keepdims(self, keepdims: bool) -> GlobalAveragePooling2D {
        GlobalAveragePooling2D { keepdims }
    }
}

impl GlobalMaxPooling2D {
    /// A pooling layer that removes height and width, as Keras' default.
    pub fn new() -> GlobalMaxPooling2D {
        GlobalMaxPooling2D::default()
    }

    /// Sets whether to keep height and width as axes of extent 1.
    pub fn keepdims(self, keepdims: bool) -> GlobalMaxPooling2D {
        GlobalMaxPooling2D { keepdims }
    }
}

fn pooled_shape(input: &Shape, keepdims: bool) -> std::result::Result<Shape, BuildError> {
    match (input.dims(), keepdims) {
        (Some([_, _, channels]), true) => Ok(Shape::from([1, 1, channels])),
        (Some([_, _, channels]), false) => Ok(Shape::from([channels])),
        (None, _) => Err(BuildError::input("an input [height, width, channels]")),
    }
}

fn pool(call: &mut Call<'_>, op: impl Op + 'static, keepdims: bool) -> Result<Tensor> {
    let y = call.add(op, &[call.input()])?;
    let [batch, channels] = call.shape(y).dims().unwrap_or_default();
    if keepdims { call.reshape(y, [batch, 1, 1, channels]) } else { Ok(y) }
}

impl Layer for GlobalAveragePooling2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        pooled_shape(input, self.keepdims)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        pool(call, GlobalAvgPool2d, self.keepdims)
    }
}

impl Saved for GlobalAveragePooling2D {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}

impl Layer for GlobalMaxPooling2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        pooled_shape(input, self.keepdims)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        pool(call, GlobalMaxPool2d, self.keepdims)
    }
}

impl Saved for GlobalMaxPooling2D {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({"data_format": "channels_last"})
    }
}
