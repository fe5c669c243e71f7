use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{Padding, ZeroPad2d};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::convolution::one;
use super::dense::yes;
use super::saved::Saved;
use super::sequence::{image, length, of_image};
use super::{Activation, BuildError, Call, Constraint, Conv2D, Initializer, Layer, Regularizer, Variable};

/// `y[n, t, k] = f(sum over r, c of x[n, t stride + r dilation, c] W[r, c, k] + b[k])`, in each group of channels and filters
/// separately.
///
/// # Shapes
/// In: `[steps, channels]`. Out: `[rows, filters]`, with `ceil(steps / stride)` rows for padding 'same' and 'causal' and
/// `floor((steps - window) / stride) + 1` for 'valid', for a window of `(kernel_size - 1) dilation_rate + 1`.
/// Variables: `kernel` `[R, channels / groups, filters]`, `bias` `[filters]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv1D {
    /// The number of output channels.
    pub filters: usize,
    /// The length of the kernel.
    #[serde(deserialize_with = "length")]
    pub kernel_size: [usize; 1],
    /// The stride.
    #[serde(default = "ones", deserialize_with = "length")]
    pub strides: [usize; 1],
    /// The padding at the ends.
    #[serde(default)]
    pub padding: SequencePadding,
    /// The distance between adjacent taps of the kernel, in steps; 1 with a stride above 1.
    #[serde(default = "ones", deserialize_with = "length")]
    pub dilation_rate: [usize; 1],
    /// The number of groups into which channels and filters are divided; a filter sees the channels of its group.
    #[serde(default = "one")]
    pub groups: usize,
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
    /// The constraint of the kernel, applied after each step.
    #[serde(default)]
    pub kernel_constraint: Option<Constraint>,
    /// The constraint of the bias, applied after each step.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

/// The padding of a convolution of sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SequencePadding {
    /// No padding.
    #[default]
    Valid,
    /// Padding at both ends, as many steps as TensorFlow pads.
    Same,
    /// Padding before the first step only, so that an output depends on no later step.
    Causal,
}

fn ones() -> [usize; 1] {
    [1]
}

impl Conv1D {
    /// A convolution with Keras' defaults: stride 1, padding 'valid', a bias, and no activation.
    pub fn new(filters: usize, kernel_size: usize) -> Conv1D {
        Conv1D {
            filters,
            kernel_size: [kernel_size],
            strides: ones(),
            padding: SequencePadding::Valid,
            dilation_rate: ones(),
            groups: 1,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::glorot_uniform(),
            bias_initializer: Initializer::zeros(),
            kernel_regularizer: None,
            bias_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
        }
    }

    /// Sets the stride.
    pub fn strides(self, stride: usize) -> Conv1D {
        Conv1D { strides: [stride], ..self }
    }

    /// Sets the padding at the ends.
    pub fn padding(self, padding: SequencePadding) -> Conv1D {
        Conv1D { padding, ..self }
    }

    /// Sets the distance between adjacent taps of the kernel, in steps.
    pub fn dilation_rate(self, dilation_rate: usize) -> Conv1D {
        Conv1D { dilation_rate: [dilation_rate], ..self }
    }

    /// Sets the number of groups into which channels and filters are divided.
    pub fn groups(self, groups: usize) -> Conv1D {
        Conv1D { groups, ..self }
    }

    /// Sets the activation function `f`.
    pub fn activation(self, activation: impl Into<Activation>) -> Conv1D {
        Conv1D { activation: activation.into(), ..self }
    }

    /// Sets whether there is a bias `b`.
    pub fn use_bias(self, use_bias: bool) -> Conv1D {
        Conv1D { use_bias, ..self }
    }

    /// Sets the initializer of the kernel.
    pub fn kernel_initializer(self, kernel_initializer: Initializer) -> Conv1D {
        Conv1D { kernel_initializer, ..self }
    }

    /// Sets the initializer of the bias.
    pub fn bias_initializer(self, bias_initializer: Initializer) -> Conv1D {
        Conv1D { bias_initializer, ..self }
    }

    /// Sets the regularizer of the kernel.
    pub fn kernel_regularizer(self, kernel_regularizer: Regularizer) -> Conv1D {
        Conv1D { kernel_regularizer: Some(kernel_regularizer), ..self }
    }

    /// Sets the regularizer of the bias.
    pub fn bias_regularizer(self, bias_regularizer: Regularizer) -> Conv1D {
        Conv1D { bias_regularizer: Some(bias_regularizer), ..self }
    }
}

impl Conv1D {
    /// The convolution of images with one column; causal padding is separate.
    fn of_images(&self) -> Conv2D {
        let padding = if self.padding == SequencePadding::Same { Padding::Same } else { Padding::Valid };
        let [kernel_size, strides, dilation_rate] =
            [self.kernel_size, self.strides, self.dilation_rate].map(|[length]| [length, 1]);
        Conv2D::new(self.filters, kernel_size)
            .strides(strides)
            .padding(padding)
            .dilation_rate(dilation_rate)
            .groups(self.groups)
            .activation(self.activation)
            .use_bias(self.use_bias)
    }

    /// The steps that are padded before the first one.
    fn before(&self) -> usize {
        match self.padding {
            SequencePadding::Causal => self.kernel_size[0].saturating_sub(1).saturating_mul(self.dilation_rate[0]),
            SequencePadding::Valid | SequencePadding::Same => 0,
        }
    }
}

constraint_methods!(Conv1D: kernel_constraint of "kernel", bias_constraint of "bias");

impl Layer for Conv1D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let [steps, _, channels] = image(input)?;
        let padded = Shape::from([steps.saturating_add(self.before()), 1, channels]);
        match self.of_images().output_shape(&padded)?.dims() {
            Some([rows, _, filters]) => Ok([rows, filters].into()),
            None => Err(BuildError::argument("activation", "a function of each value or channel", "another")),
        }
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let channels = input.last().copied().unwrap_or_default() / self.groups.max(1);
        let shape = [self.kernel_size[0], channels, self.filters];
        let kernel = Variable::new("kernel", shape, self.kernel_initializer)
            .regularizer(self.kernel_regularizer)
            .constraint(self.kernel_constraint.clone());
        let bias = Variable::new("bias", [self.filters], self.bias_initializer)
            .regularizer(self.bias_regularizer)
            .constraint(self.bias_constraint.clone());
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let mut inputs = call.input_and_variables();
        let [batch, steps, channels] = call.shape(inputs[0]).dims().unwrap_or_default();
        inputs[0] = call.reshape(inputs[0], [batch, steps, 1, channels])?;
        if self.before() > 0 {
            inputs[0] = call.add(ZeroPad2d { padding: [[self.before(), 0], [0, 0]] }, &inputs[..1])?;
        }
        let [length, per_group, filters] = call.shape(inputs[1]).dims().unwrap_or_default();
        inputs[1] = call.reshape(inputs[1], [length, 1, per_group, filters])?;
        let y = self.of_images().apply(call, inputs)?;
        of_image(call, y)
    }
}

impl Saved for Conv1D {
    fn fixed() -> Value {
        json!({
            "data_format": "channels_last",
            "activity_regularizer": null,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rows(layer: &Conv1D, input: impl Into<Shape>) -> std::result::Result<Shape, String> {
        layer.output_shape(&input.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_those_of_keras() {
        let layer = Conv1D::new(4, 3);
        assert_eq!(rows(&layer, [10, 2]), Ok([8, 4].into()));
        assert_eq!(rows(&layer.clone().strides(3).padding(SequencePadding::Same), [10, 2]), Ok([4, 4].into()));
        let causal = layer.clone().padding(SequencePadding::Causal);
        assert_eq!(rows(&causal.clone().dilation_rate(4), [10, 2]), Ok([10, 4].into()));
        assert_eq!(rows(&causal.strides(3), [10, 2]), Ok([4, 4].into()));
        assert_eq!(layer.variables(&[10, 2].into())[0].shape, Shape::from([3, 2, 4]));
    }

    #[test]
    fn bad_arguments_are_named() {
        assert_eq!(rows(&Conv1D::new(4, 3), [10, 2, 1]).unwrap_err(), "expected an input [steps, channels]");
        assert_eq!(rows(&Conv1D::new(0, 3), [10, 2]).unwrap_err(), "filters: expected at least 1, found 0");
        let huge = Conv1D::new(1, 3).padding(SequencePadding::Causal).dilation_rate(usize::MAX);
        assert!(rows(&huge, [10, 2]).unwrap_err().starts_with("dilation_rate: expected a window of at most"));
    }
}
