//! Pooling of sequences: that of images with one column.

use kiln_graph::{Op, Result, Shape, Tensor};
use kiln_ops::{AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d, Padding};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::saved::{Saved, padding};
use super::sequence::{image, length, of_image};
use super::{BuildError, Call, Layer, window_grid};

/// Keras' defaults: adjacent windows of 2 steps.
fn complete(config: &mut Map<String, Value>) {
    let size = config.entry("pool_size").or_insert(json!(2)).clone();
    let strides = config.entry("strides").or_insert(Value::Null);
    if strides.is_null() {
        *strides = size;
    }
    config.entry("padding").or_insert_with(|| "valid".into());
}

/// Applies an op of images with one column to sequences.
fn apply(call: &mut Call<'_>, op: impl Op + 'static) -> Result<Tensor> {
    let [batch, steps, channels] = call.shape(call.input()).dims().unwrap_or_default();
    let images = call.reshape(call.input(), [batch, steps, 1, channels])?;
    let y = call.add(op, &[images])?;
    of_image(call, y)
}

/// Declares the layers with a window.
macro_rules! windows {
    ($($(#[$doc:meta])* $Layer:ident: $Op:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Shapes
            /// In: `[steps, channels]`. Out: `[rows, channels]`, with `ceil(steps / stride)` rows for padding 'same' and
            /// `floor((steps - window) / stride) + 1` for 'valid'.
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct $Layer {
                /// The length of a window.
                #[serde(deserialize_with = "length")]
                pub pool_size: [usize; 1],
                /// The stride.
                #[serde(deserialize_with = "length")]
                pub strides: [usize; 1],
                /// The padding at the ends. Padded cells do not count.
                #[serde(with = "padding")]
                pub padding: Padding,
            }

            impl $Layer {
                /// Adjacent windows of this length with padding 'valid', as Keras' defaults.
                pub fn new(pool_size: usize) -> $Layer {
                    $Layer { pool_size: [pool_size], strides: [pool_size], padding: Padding::Valid }
                }

                /// Sets the stride.
                pub fn strides(self, stride: usize) -> $Layer {
                    $Layer { strides: [stride], ..self }
                }

                /// Sets the padding at the ends.
                pub fn padding(self, padding: Padding) -> $Layer {
                    $Layer { padding, ..self }
                }
            }

            impl Layer for $Layer {
                saved_layer!();

                fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
                    let window = ("pool_size", [self.pool_size[0], 1]);
                    let [rows, _, channels] = window_grid(&image(input)?.into(), window, [self.strides[0], 1], self.padding)?;
                    Ok([rows, channels].into())
                }

                fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
                    let [pool_size, strides] = [self.pool_size, self.strides].map(|[length]| [length, 1]);
                    apply(call, $Op { pool_size, strides, padding: self.padding })
                }
            }

            impl Saved for $Layer {
                const HAS_BUILD_CONFIG: bool = false;

                fn complete(config: &mut Map<String, Value>) {
                    complete(config);
                }

                fn fixed() -> Value {
                    json!({"data_format": "channels_last"})
                }
            }
        )*
    };
}

windows! {
    /// `y[n, t, c] = mean over r of x[n, t stride + r, c]`.
    AveragePooling1D: AvgPool2d;
    /// `y[n, t, c] = max over r of x[n, t stride + r, c]`.
    MaxPooling1D: MaxPool2d;
}

/// Declares the layers over all steps.
macro_rules! globals {
    ($($(#[$doc:meta])* $Layer:ident: $op:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Shapes
            /// In: `[steps, channels]`. Out: `[channels]`, or `[1, channels]` with `keepdims`.
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            pub struct $Layer {
                /// Whether to keep the steps as an axis of extent 1.
                #[serde(default)]
                pub keepdims: bool,
            }

            impl $Layer {
                /// A pooling layer that removes the steps, as Keras' default.
                pub fn new() -> $Layer {
                    $Layer::default()
                }

                /// Sets whether to keep the steps as an axis of extent 1.
                pub fn keepdims(self, keepdims: bool) -> $Layer {
                    $Layer { keepdims }
                }
            }

            impl Layer for $Layer {
                saved_layer!();

                fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
                    match (image(input)?, self.keepdims) {
                        ([(1..), _, channels], true) => Ok([1, channels].into()),
                        ([(1..), _, channels], false) => Ok([channels].into()),
                        _ => Err(BuildError::input("an input [steps, channels] of at least one step")),
                    }
                }

                fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
                    let y = apply(call, $op)?;
                    let [batch, channels] = call.shape(y).dims().unwrap_or_default();
                    if self.keepdims { call.reshape(y, [batch, 1, channels]) } else { Ok(y) }
                }
            }

            impl Saved for $Layer {
                const HAS_BUILD_CONFIG: bool = false;

                fn fixed() -> Value {
                    json!({"data_format": "channels_last"})
                }
            }
        )*
    };
}

globals! {
    /// `y[n, c] = mean over t of x[n, t, c]`.
    GlobalAveragePooling1D: GlobalAvgPool2d;
    /// `y[n, c] = max over t of x[n, t, c]`.
    GlobalMaxPooling1D: GlobalMaxPool2d;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn windows_cover_steps() {
        let shape = |layer: MaxPooling1D| layer.output_shape(&[7, 3].into()).map_err(|error| error.to_string());
        assert_eq!(shape(MaxPooling1D::new(2)), Ok([3, 3].into()));
        assert_eq!(shape(MaxPooling1D::new(3).strides(2).padding(Padding::Same)), Ok([4, 3].into()));
        let error = AveragePooling1D::new(2).output_shape(&[7, 3, 1].into()).unwrap_err().to_string();
        assert_eq!(error, "expected an input [steps, channels]");
        assert_eq!(GlobalMaxPooling1D::new().keepdims(true).output_shape(&[7, 3].into()), Ok([1, 3].into()));
    }
}
