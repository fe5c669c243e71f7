use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{Conv2d, Padding};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dense::yes;
use super::saved::{Saved, padding, pair};
use super::{Activation, BuildError, Call, Initializer, Layer, Regularizer, Variable, window_grid};

/// `y[n, h, w, k] = f(sum over r, s, c of x[n, h stride + r, w stride + s, c] W[r, s, c, k] + b[k])`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[rows, columns, filters]`, with `ceil(n / stride)` rows and columns for
/// padding 'same' and `floor((n - window) / stride) + 1` for 'valid'.
/// Variables: `kernel` `[R, S, channels, filters]`, `bias` `[filters]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2D {
    /// The number of output channels.
    pub filters: usize,
    /// The height and width of the kernel.
    #[serde(deserialize_with = "pair")]
    pub kernel_size: [usize; 2],
    /// The strides along height and width.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub strides: [usize; 2],
    /// The padding at the edges.
    #[serde(with = "padding", default = "valid")]
    pub padding: Padding,
    /// The function `f`.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias `b`.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// The initializer of the kernel.
    #[serde(default = "Initializer::glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// The initializer of the bias.
    #[serde(default = "Initializer::zeros")]
    pub bias_initializer: Initializer,
    /// The regularizer of the kernel.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// The regularizer of the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
}

impl Conv2D {
    /// A convolution with Keras' defaults: strides 1, padding 'valid', a bias, and no activation.
    pub fn new(filters: usize, kernel_size: [usize; 2]) -> Conv2D {
        Conv2D {
            filters,
            kernel_size,
            strides: ones(),
            padding: valid(),
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::glorot_uniform(),
            bias_initializer: Initializer::zeros(),
            kernel_regularizer: None,
            bias_regularizer: None,
        }
    }

    /// Sets the strides along height and width.
    pub fn strides(self, strides: [usize; 2]) -> Conv2D {
        Conv2D { strides, ..self }
    }

    /// Sets the padding at the edges.
    pub fn padding(self, padding: Padding) -> Conv2D {
        Conv2D { padding, ..self }
    }

    /// Sets the activation function `f`.
    pub fn activation(self, activation: impl Into<Activation>) -> Conv2D {
        Conv2D { activation: activation.into(), ..self }
    }

    /// Sets whether there is a bias `b`.
    pub fn use_bias(self, use_bias: bool) -> Conv2D {
        Conv2D { use_bias, ..self }
    }

    /// Sets the initializer of the kernel.
    pub fn kernel_initializer(self, kernel_initializer: Initializer) -> Conv2D {
        Conv2D { kernel_initializer, ..self }
    }

    /// Sets the initializer of the bias.
    pub fn bias_initializer(self, bias_initializer: Initializer) -> Conv2D {
        Conv2D { bias_initializer, ..self }
    }

    /// Sets the regularizer of the kernel.
    pub fn kernel_regularizer(self, kernel_regularizer: Regularizer) -> Conv2D {
        Conv2D { kernel_regularizer: Some(kernel_regularizer), ..self }
    }

    /// Sets the regularizer of the bias.
    pub fn bias_regularizer(self, bias_regularizer: Regularizer) -> Conv2D {
        Conv2D { bias_regularizer: Some(bias_regularizer), ..self }
    }
}

fn ones() -> [usize; 2] {
    [1, 1]
}

fn valid() -> Padding {
    Padding::Valid
}

impl Layer for Conv2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let kernel = ("kernel_size", self.kernel_size);
        let [rows, columns, channels] = window_grid(input, kernel, self.strides, self.padding)?;
        if self.filters == 0 {
            return Err(BuildError::argument("filters", "at least 1", 0));
        }
        if channels == 0 {
            return Err(BuildError::input("at least 1 channel"));
        }
        self.activation.output_shape(&Shape::from([rows, columns, self.filters]))
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let [height, width] = self.kernel_size;
        let channels = input.last().copied().unwrap_or_default();
        let kernel = Variable {
            name: "kernel",
            shape: Shape::from([height, width, channels, self.filters]),
            initializer: self.kernel_initializer,
            regularizer: self.kernel_regularizer,
            trainable: true,
        };
        let bias = Variable {
            name: "bias",
            shape: Shape::from([self.filters]),
            initializer: self.bias_initializer,
            regularizer: self.bias_regularizer,
            trainable: true,
        };
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let inputs = call.input_and_variables();
        let op = Conv2d { strides: self.strides, padding: self.padding, bias: self.use_bias };
        let y = call.add(op, &inputs)?;
        self.activation.apply(call, y)
    }
}

impl Saved for Conv2D {
    fn fixed() -> Value {
        json!({
            "data_format": "channels_last",
            "dilation_rate": [1, 1],
            "groups": 1,
            "activity_regularizer": null,
            "kernel_constraint": null,
            "bias_constraint": null,
        })
    }
}
