use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{Conv2d, Padding};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::convolution::{Depthwise, at_least_1, grid, one, ones, remove_inherited, valid};
use super::dense::yes;
use super::saved::{Saved, padding, pair};
use super::{Activation, BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable};

/// `y[n, h, w, k] = f(sum over d of z[n, h, w, d] P[d, k] + b[k])`, with `z[n, h, w, c M + m] = sum over r, s of x[n, h
/// stride + r dilation, w stride + s dilation, c] D[r, s, c, m]`: a depthwise convolution, then one of 1 x 1.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[rows, columns, filters]`, with rows and columns as in
/// [`DepthwiseConv2D`](crate::layers::DepthwiseConv2D).
/// Variables: `depthwise_kernel` `D` `[R, S, channels, depth_multiplier]`, `pointwise_kernel` `P` `[1, 1, channels
/// depth_multiplier, filters]`, `bias` `[filters]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeparableConv2D {
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
    /// The number `M` of channels of `z` per input channel.
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
    /// The initializer of the depthwise kernel.
    #[serde(default = "Initializer::glorot_uniform")]
    pub depthwise_initializer: Initializer,
    /// The initializer of the pointwise kernel.
    #[serde(default = "Initializer::glorot_uniform")]
    pub pointwise_initializer: Initializer,
    /// The initializer of the bias.
    #[serde(default = "Initializer::zeros")]
    pub bias_initializer: Initializer,
    /// The regularizer of the depthwise kernel.
    #[serde(default)]
    pub depthwise_regularizer: Option<Regularizer>,
    /// The regularizer of the pointwise kernel.
    #[serde(default)]
    pub pointwise_regularizer: Option<Regularizer>,
    /// The regularizer of the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// The constraint of the depthwise kernel, applied after each step.
    #[serde(default)]
    pub depthwise_constraint: Option<Constraint>,
    /// The constraint of the pointwise kernel, applied after each step.
    #[serde(default)]
    pub pointwise_constraint: Option<Constraint>,
    /// The constraint of the bias, applied after each step.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl SeparableConv2D {
    /// A separable convolution with Keras' defaults: strides 1, padding 'valid', a depth multiplier of 1, a bias, and no
    /// activation.
    pub fn new(filters: usize, kernel_size: [usize; 2]) -> SeparableConv2D {
        SeparableConv2D {
            filters,
            kernel_size,
            strides: ones(),
            padding: valid(),
            depth_multiplier: 1,
            dilation_rate: ones(),
            activation: Activation::Linear,
            use_bias: true,
            depthwise_initializer: Initializer::glorot_uniform(),
            pointwise_initializer: Initializer::glorot_uniform(),
            bias_initializer: Initializer::zeros(),
            depthwise_regularizer: None,
            pointwise_regularizer: None,
            bias_regularizer: None,
            depthwise_constraint: None,
            pointwise_constraint: None,
            bias_constraint: None,
        }
    }

    /// Sets the strides along height and width.
    pub fn strides(self, strides: [usize; 2]) -> SeparableConv2D {
        SeparableConv2D { strides, ..self }
    }

    /// Sets the padding at the edges.
    pub fn padding(self, padding: Padding) -> SeparableConv2D {
        SeparableConv2D { padding, ..self }
    }

    /// Sets the number of channels between the two convolutions per input channel.
    pub fn depth_multiplier(self, depth_multiplier: usize) -> SeparableConv2D {
        SeparableConv2D { depth_multiplier, ..self }
    }

    /// Sets the distance between adjacent taps of the kernel, in pixels.
    pub fn dilation_rate(self, dilation_rate: [usize; 2]) -> SeparableConv2D {
        SeparableConv2D { dilation_rate, ..self }
    }

    /// Sets the activation function `f`.
    pub fn activation(self, activation: impl Into<Activation>) -> SeparableConv2D {
        SeparableConv2D { activation: activation.into(), ..self }
    }

    /// Sets whether there is a bias `b`.
    pub fn use_bias(self, use_bias: bool) -> SeparableConv2D {
        SeparableConv2D { use_bias, ..self }
    }

    /// Sets the initializer of the depthwise kernel.
    pub fn depthwise_initializer(self, depthwise_initializer: Initializer) -> SeparableConv2D {
        SeparableConv2D { depthwise_initializer, ..self }
    }

    /// Sets the initializer of the pointwise kernel.
    pub fn pointwise_initializer(self, pointwise_initializer: Initializer) -> SeparableConv2D {
        SeparableConv2D { pointwise_initializer, ..self }
    }

    /// Sets the initializer of the bias.
    pub fn bias_initializer(self, bias_initializer: Initializer) -> SeparableConv2D {
        SeparableConv2D { bias_initializer, ..self }
    }

    /// Sets the regularizer of the depthwise kernel.
    pub fn depthwise_regularizer(self, depthwise_regularizer: Regularizer) -> SeparableConv2D {
        SeparableConv2D { depthwise_regularizer: Some(depthwise_regularizer), ..self }
    }

    /// Sets the regularizer of the pointwise kernel.
    pub fn pointwise_regularizer(self, pointwise_regularizer: Regularizer) -> SeparableConv2D {
        SeparableConv2D { pointwise_regularizer: Some(pointwise_regularizer), ..self }
    }

    /// Sets the regularizer of the bias.
    pub fn bias_regularizer(self, bias_regularizer: Regularizer) -> SeparableConv2D {
        SeparableConv2D { bias_regularizer: Some(bias_regularizer), ..self }
    }
}

constraint_methods!(SeparableConv2D: depthwise_constraint of "depthwise kernel", pointwise_constraint of "pointwise kernel", bias_constraint of "bias");

impl Layer for SeparableConv2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let [rows, columns, _] = grid(input, self.kernel_size, self.strides, self.padding, self.dilation_rate)?;
        at_least_1("filters", self.filters)?;
        at_least_1("depth_multiplier", self.depth_multiplier)?;
        self.activation.output_shape(&Shape::from([rows, columns, self.filters]))
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let ([height, width], multiplier) = (self.kernel_size, self.depth_multiplier);
        let channels = input.last().copied().unwrap_or_default();
        let (depthwise, pointwise) =
            ([height, width, channels, multiplier], [1, 1, channels * multiplier, self.filters]);
        let mut variables = vec![
            Variable::new("depthwise_kernel", depthwise, self.depthwise_initializer)
                .regularizer(self.depthwise_regularizer)
                .constraint(self.depthwise_constraint.clone()),
            Variable::new("pointwise_kernel", pointwise, self.pointwise_initializer)
                .regularizer(self.pointwise_regularizer)
                .constraint(self.pointwise_constraint.clone()),
        ];
        if self.use_bias {
            variables.push(
                Variable::new("bias", [self.filters], self.bias_initializer)
                    .regularizer(self.bias_regularizer)
                    .constraint(self.bias_constraint.clone()),
            );
        }
        variables
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let (x, variables) = (call.input(), call.variables().to_vec());
        let depthwise = Depthwise { strides: self.strides, padding: self.padding, dilation: self.dilation_rate };
        let z = depthwise.apply(call, self.kernel_size, x, variables[0], None)?;
        let pointwise = Conv2d { strides: ones(), padding: valid().into(), bias: self.use_bias };
        let y = call.add(pointwise, &[&[z], &variables[1..]].concat())?;
        self.activation.apply(call, y)
    }
}

impl Saved for SeparableConv2D {
    fn complete(config: &mut Map<String, Value>) {
        remove_inherited(config);
        // Keras 2 writes those of a convolution's kernel as well, which this layer does not have.
        config.remove("kernel_initializer");
        for unset in ["kernel_regularizer", "kernel_constraint"] {
            if config.get(unset).is_some_and(Value::is_null) {
                config.remove(unset);
            }
        }
    }

    fn fixed() -> Value {
        json!({
            "data_format": "channels_last",
            "activity_regularizer": null,
        })
    }
}
