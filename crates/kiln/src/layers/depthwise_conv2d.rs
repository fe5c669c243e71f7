use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Padding;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::convolution::{Depthwise, at_least_1, grid, one, ones, remove_inherited, valid};
use super::dense::yes;
use super::saved::{Saved, padding, pair};
use super::{Activation, BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable};

/// `y[n, h, w, c M + m] = f(sum over r, s of x[n, h stride + r dilation, w stride + s dilation, c] W[r, s, c, m] + b[c M +
/// m])`: each channel is convolved with `M` windows of its own.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[rows, columns, channels depth_multiplier]`, with rows and columns as in
/// [`Conv2D`](crate::layers::Conv2D) for a window of `(kernel_size - 1) dilation_rate + 1`.
/// Variables: `kernel` `[R, S, channels, depth_multiplier]`, `bias` `[channels depth_multiplier]`.
///
/// In mixed precision it computes in f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepthwiseConv2D {
    /// The height and width of the kernel.
    #[serde(deserialize_with = "pair")]
    pub kernel_size: [usize; 2],
    /// The strides along height and width.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub strides: [usize; 2],
    /// The padding at the edges.
    #[serde(with = "padding", default = "valid")]
    pub padding: Padding,
    /// The number `M` of output channels per input channel.
    #[serde(default = "one")]
    pub depth_multiplier: usize,
    /// The distance between adjacent taps of the kernel, in pixels. Unlike Keras' other convolutions, it may be above 1
    /// together with strides above 1.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub dilation_rate: [usize; 2],
    /// The function `f`.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias `b`.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// The initializer of the kernel.
    #[serde(default = "Initializer::glorot_uniform")]
    pub depthwise_initializer: Initializer,
    /// The initializer of the bias.
    #[serde(default = "Initializer::zeros")]
    pub bias_initializer: Initializer,
    /// The regularizer of the kernel.
    #[serde(default)]
    pub depthwise_regularizer: Option<Regularizer>,
    /// The regularizer of the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// The constraint of the depthwise kernel, applied after each step.
    #[serde(default)]
    pub depthwise_constraint: Option<Constraint>,
    /// The constraint of the bias, applied after each step.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl DepthwiseConv2D {
    /// A depthwise convolution with Keras' defaults: strides 1, padding 'valid', one output channel per input channel, a
    /// bias, and no activation.
    pub fn new(kernel_size: [usize; 2]) -> DepthwiseConv2D {
        DepthwiseConv2D {
            kernel_size,
            strides: ones(),
            padding: valid(),
            depth_multiplier: 1,
            dilation_rate: ones(),
            activation: Activation::Linear,
            use_bias: true,
            depthwise_initializer: Initializer::glorot_uniform(),
            bias_initializer: Initializer::zeros(),
            depthwise_regularizer: None,
            bias_regularizer: None,
            depthwise_constraint: None,
            bias_constraint: None,
        }
    }

    /// Sets the strides along height and width.
    pub fn strides(self, strides: [usize; 2]) -> DepthwiseConv2D {
        DepthwiseConv2D { strides, ..self }
    }

    /// Sets the padding at the edges.
    pub fn padding(self, padding: Padding) -> DepthwiseConv2D {
        DepthwiseConv2D { padding, ..self }
    }

    /// Sets the number of output channels per input channel.
    pub fn depth_multiplier(self, depth_multiplier: usize) -> DepthwiseConv2D {
        DepthwiseConv2D { depth_multiplier, ..self }
    }

    /// Sets the distance between adjacent taps of the kernel, in pixels.
    pub fn dilation_rate(self, dilation_rate: [usize; 2]) -> DepthwiseConv2D {
        DepthwiseConv2D { dilation_rate, ..self }
    }

    /// Sets the activation function `f`.
    pub fn activation(self, activation: impl Into<Activation>) -> DepthwiseConv2D {
        DepthwiseConv2D { activation: activation.into(), ..self }
    }

    /// Sets whether there is a bias `b`.
    pub fn use_bias(self, use_bias: bool) -> DepthwiseConv2D {
        DepthwiseConv2D { use_bias, ..self }
    }

    /// Sets the initializer of the kernel.
    pub fn depthwise_initializer(self, depthwise_initializer: Initializer) -> DepthwiseConv2D {
        DepthwiseConv2D { depthwise_initializer, ..self }
    }

    /// Sets the initializer of the bias.
    pub fn bias_initializer(self, bias_initializer: Initializer) -> DepthwiseConv2D {
        DepthwiseConv2D { bias_initializer, ..self }
    }

    /// Sets the regularizer of the kernel.
    pub fn depthwise_regularizer(self, depthwise_regularizer: Regularizer) -> DepthwiseConv2D {
        DepthwiseConv2D { depthwise_regularizer: Some(depthwise_regularizer), ..self }
    }

    /// Sets the regularizer of the bias.
    pub fn bias_regularizer(self, bias_regularizer: Regularizer) -> DepthwiseConv2D {
        DepthwiseConv2D { bias_regularizer: Some(bias_regularizer), ..self }
    }
}

constraint_methods!(DepthwiseConv2D: depthwise_constraint of "depthwise kernel", bias_constraint of "bias");

impl Layer for DepthwiseConv2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let [rows, columns, channels] = grid(input, self.kernel_size, self.strides, self.padding, self.dilation_rate)?;
        at_least_1("depth_multiplier", self.depth_multiplier)?;
        self.activation.output_shape(&Shape::from([rows, columns, channels * self.depth_multiplier]))
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let ([height, width], multiplier) = (self.kernel_size, self.depth_multiplier);
        let channels = input.last().copied().unwrap_or_default();
        let shape = [height, width, channels, multiplier];
        let kernel = Variable::new("kernel", shape, self.depthwise_initializer)
            .regularizer(self.depthwise_regularizer)
            .constraint(self.depthwise_constraint.clone());
        let bias = Variable::new("bias", [channels * multiplier], self.bias_initializer)
            .regularizer(self.bias_regularizer)
            .constraint(self.bias_constraint.clone());
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let (x, kernel, bias) = (call.input(), call.variables()[0], call.variables().get(1).copied());
        let depthwise = Depthwise { strides: self.strides, padding: self.padding, dilation: self.dilation_rate };
        let y = depthwise.apply(call, self.kernel_size, x, kernel, bias)?;
        self.activation.apply(call, y)
    }
}

impl Saved for DepthwiseConv2D {
    fn complete(config: &mut Map<String, Value>) {
        remove_inherited(config);
    }

    fn fixed() -> Value {
        json!({
            "data_format": "channels_last",
            "activity_regularizer": null,
        })
    }
}
