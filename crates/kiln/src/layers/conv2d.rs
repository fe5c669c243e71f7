use kiln_graph::{Error, Result, Shape, Tensor, TensorType};
use kiln_ops::{Concatenate, Conv2d, Dilation, ImagePadding, Padding, Split};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::convolution::{
    Depthwise, at_least_1, effective, grid, image_and_padding, one, ones, strides_or_dilation, valid,
};
use super::dense::yes;
use super::saved::{Saved, padding, pair};
use super::{Activation, BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable};

/// `y[n, h, w, k] = f(sum over r, s, c of x[n, h stride + r dilation, w stride + s dilation, c] W[r, s, c, k] + b[k])`, in
/// each group of channels and filters separately.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[rows, columns, filters]`, with `ceil(n / stride)` rows and columns for
/// padding 'same' and `floor((n - window) / stride) + 1` for 'valid', for a window of `(kernel_size - 1) dilation_rate + 1`.
/// Variables: `kernel` `[R, S, channels / groups, filters]`, `bias` `[filters]`.
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
    /// The distance between adjacent taps of the kernel, in pixels; 1 with strides above 1.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub dilation_rate: [usize; 2],
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

impl Conv2D {
    /// A convolution with Keras' defaults: strides 1, padding 'valid', a bias, and no activation.
    pub fn new(filters: usize, kernel_size: [usize; 2]) -> Conv2D {
        Conv2D {
            filters,
            kernel_size,
            strides: ones(),
            padding: valid(),
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

    /// Sets the strides along height and width.
    pub fn strides(self, strides: [usize; 2]) -> Conv2D {
        Conv2D { strides, ..self }
    }

    /// Sets the padding at the edges.
    pub fn padding(self, padding: Padding) -> Conv2D {
        Conv2D { padding, ..self }
    }

    /// Sets the distance between adjacent taps of the kernel, in pixels.
    pub fn dilation_rate(self, dilation_rate: [usize; 2]) -> Conv2D {
        Conv2D { dilation_rate, ..self }
    }

    /// Sets the number of groups into which channels and filters are divided.
    pub fn groups(self, groups: usize) -> Conv2D {
        Conv2D { groups, ..self }
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

impl Conv2D {
    /// The layer for `(x [N, H, W, C], kernel, bias if any)`.
    ///
    /// # Errors
    /// If the tensors do not match.
    pub(super) fn apply(&self, call: &mut Call<'_>, inputs: Vec<Tensor>) -> Result<Tensor> {
        let Conv2D { kernel_size: size, strides, padding, .. } = *self;
        let channels = call.shape(inputs[0]).last().copied().unwrap_or_default();
        let dilation = effective(size, self.dilation_rate);
        let y = if self.groups > 1 && self.groups == channels {
            // A kernel [R, S, 1, filters] has the elements of [R, S, channels, multiplier].
            let depthwise = Depthwise { strides, padding, dilation };
            depthwise.apply(call, size, inputs[0], inputs[1], inputs.get(2).copied())?
        } else if dilation == ones() {
            let (image, padding) = image_and_padding(call, inputs[0], size, padding);
            let inputs = [&[image], &inputs[1..]].concat();
            self.in_groups(call, &inputs, strides, padding)?
        } else {
            self.in_grids(call, inputs, dilation)?
        };
        self.activation.apply(call, y)
    }

    /// The convolution without dilation, with one op per group.
    fn in_groups(
        &self,
        call: &mut Call<'_>,
        inputs: &[Tensor],
        strides: [usize; 2],
        padding: ImagePadding,
    ) -> Result<Tensor> {
        let op = Conv2d { strides, padding, bias: self.use_bias };
        if self.groups == 1 {
            return call.add(op, inputs);
        }
        let split = Split { parts: self.groups };
        let split: Result<Vec<Vec<Tensor>>> = inputs.iter().map(|&input| call.add_all(split, &[input])).collect();
        let split = split?;
        let of_group = |group: usize| split.iter().map(|parts| parts[group]).collect::<Vec<Tensor>>();
        let results: Result<Vec<Tensor>> = (0..self.groups).map(|group| call.add(op, &of_group(group))).collect();
        call.add(Concatenate, &results?)
    }

    /// The convolution in interleaved grids of the image, in which it has no dilation.
    fn in_grids(&self, call: &mut Call<'_>, mut inputs: Vec<Tensor>, dilation: [usize; 2]) -> Result<Tensor> {
        let shape = call.shape(inputs[0]).clone();
        let image = shape.dims().map(|[_, height, width, _]: [usize; 4]| [height, width]);
        let grids = image.and_then(|image| Dilation::new(image, self.kernel_size, dilation, self.padding));
        let Some(grids) = grids else {
            let expected = "images that the layer was built for";
            return Err(Error::inputs("conv2d", expected, &[TensorType::f32(shape)]));
        };
        inputs[0] = call.add(grids.split_image(), &inputs[..1])?;
        let y = self.in_groups(call, &inputs, ones(), valid().into())?;
        call.add(grids.join_result(), &[y])
    }
}

constraint_methods!(Conv2D: kernel_constraint of "kernel", bias_constraint of "bias");

impl Layer for Conv2D {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        at_least_1("filters", self.filters)?;
        at_least_1("groups", self.groups)?;
        strides_or_dilation(self.strides, self.dilation_rate)?;
        let [rows, columns, channels] = grid(input, self.kernel_size, self.strides, self.padding, self.dilation_rate)?;
        for (of, number) in [("filters", self.filters), ("channels", channels)] {
            if !number.is_multiple_of(self.groups) {
                let expected = format!("a divisor of {number}, the number of {of}");
                return Err(BuildError::argument("groups", expected, self.groups));
            }
        }
        self.activation.output_shape(&Shape::from([rows, columns, self.filters]))
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let [height, width] = self.kernel_size;
        let channels = input.last().copied().unwrap_or_default() / self.groups.max(1);
        let shape = [height, width, channels, self.filters];
        let kernel = Variable::new("kernel", shape, self.kernel_initializer)
            .regularizer(self.kernel_regularizer)
            .constraint(self.kernel_constraint.clone());
        let bias = Variable::new("bias", [self.filters], self.bias_initializer)
            .regularizer(self.bias_regularizer)
            .constraint(self.bias_constraint.clone());
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let inputs = call.input_and_variables();
        self.apply(call, inputs)
    }
}

impl Saved for Conv2D {
    fn fixed() -> Value {
        json!({
            "data_format": "channels_last",
            "activity_regularizer": null,
        })
    }
}
