use kiln_graph::{Error, Result, Shape, Tensor, TensorType};
use kiln_ops::{Conv2dTranspose, Dilation, Padding};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::convolution::{at_least_1, effective, extent, ones, remove_inherited, strides_or_dilation, valid};
use super::dense::yes;
use super::saved::{Saved, padding, pair};
use super::{Activation, BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable};

/// `y[n, h stride + r dilation - top, w stride + s dilation - left, k] = f(sum over r, s, c of x[n, h, w, c] W[r, s, k, c] +
/// b[k])`: the transpose of a convolution ("deconvolution"), which enlarges images.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: `[rows, columns, filters]`. With `k = (kernel_size - 1) dilation_rate + 1`, there are
/// `height stride` rows for padding 'same' and `(height - 1) stride + max(k, stride)` for 'valid'. With an
/// `output_padding`, there are `(height - 1) stride + k mod 2 + output_padding` and `(height - 1) stride + k +
/// output_padding`. Padding is as in Keras on TensorFlow: `top` is that of a convolution of the output with padding
/// 'same', 0 for 'valid'.
/// Variables: `kernel` `[R, S, filters, channels]`, `bias` `[filters]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2DTranspose {
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
    /// Rows and columns added to the output at its bottom and right, less than the strides. By default, the output has
    /// Keras' usual size.
    #[serde(default, deserialize_with = "optional_pair")]
    pub output_padding: Option<[usize; 2]>,
    /// The distance between adjacent taps of the kernel, in pixels; 1 with strides above 1.
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

impl Conv2DTranspose {
    /// A transposed convolution with Keras' defaults: strides 1, padding 'valid', a bias, and no activation.
    pub fn new(filters: usize, kernel_size: [usize; 2]) -> Conv2DTranspose {
        Conv2DTranspose {
            filters,
            kernel_size,
            strides: ones(),
            padding: valid(),
            output_padding: None,
            dilation_rate: ones(),
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
    pub fn strides(self, strides: [usize; 2]) -> Conv2DTranspose {
        Conv2DTranspose { strides, ..self }
    }

    /// Sets the padding at the edges.
    pub fn padding(self, padding: Padding) -> Conv2DTranspose {
        Conv2DTranspose { padding, ..self }
    }

    /// Sets the rows and columns added to the output at its bottom and right.
    pub fn output_padding(self, output_padding: [usize; 2]) -> Conv2DTranspose {
        Conv2DTranspose { output_padding: Some(output_padding), ..self }
    }

    /// Sets the distance between adjacent taps of the kernel, in pixels.
    pub fn dilation_rate(self, dilation_rate: [usize; 2]) -> Conv2DTranspose {
        Conv2DTranspose { dilation_rate, ..self }
    }

    /// Sets the activation function `f`.
    pub fn activation(self, activation: impl Into<Activation>) -> Conv2DTranspose {
        Conv2DTranspose { activation: activation.into(), ..self }
    }

    /// Sets whether there is a bias `b`.
    pub fn use_bias(self, use_bias: bool) -> Conv2DTranspose {
        Conv2DTranspose { use_bias, ..self }
    }

    /// Sets the initializer of the kernel.
    pub fn kernel_initializer(self, kernel_initializer: Initializer) -> Conv2DTranspose {
        Conv2DTranspose { kernel_initializer, ..self }
    }

    /// Sets the initializer of the bias.
    pub fn bias_initializer(self, bias_initializer: Initializer) -> Conv2DTranspose {
        Conv2DTranspose { bias_initializer, ..self }
    }

    /// Sets the regularizer of the kernel.
    pub fn kernel_regularizer(self, kernel_regularizer: Regularizer) -> Conv2DTranspose {
        Conv2DTranspose { kernel_regularizer: Some(kernel_regularizer), ..self }
    }

    /// Sets the regularizer of the bias.
    pub fn bias_regularizer(self, bias_regularizer: Regularizer) -> Conv2DTranspose {
        Conv2DTranspose { bias_regularizer: Some(bias_regularizer), ..self }
    }
}

fn optional_pair<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<[usize; 2]>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => pair(value).map(Some).map_err(serde::de::Error::custom),
    }
}

impl Conv2DTranspose {
    /// The extent of the output along an axis, for windows of `k` pixels.
    fn along(&self, axis: usize, n: usize, k: usize) -> std::result::Result<usize, BuildError> {
        let (stride, added) = (self.strides[axis], self.output_padding.map(|padding| padding[axis]));
        let apart = (n - 1) * stride;
        let out = match (self.padding, added) {
            (Padding::Valid, _) => apart + k + added.unwrap_or(k.max(stride) - k),
            (Padding::Same, None) => n * stride,
            (Padding::Same, Some(added)) => apart + k % 2 + added,
        };
        if self.padding == Padding::Same && out.div_ceil(stride) != n {
            // Of a window with an even extent: the convolution of such an output is smaller than the input.
            let found = self.output_padding.unwrap_or_default();
            let found = format!("{} x {}", found[0], found[1]);
            let expected = format!("at least 1 for a window of {k} pixels and padding 'same'");
            return Err(BuildError::argument("output_padding", expected, found));
        }
        Ok(out)
    }

    /// The rows and columns of the output, and the channels of the input.
    fn grid(&self, input: &Shape) -> std::result::Result<[usize; 3], BuildError> {
        for (argument, [rows, columns]) in [("kernel_size", self.kernel_size), ("strides", self.strides)] {
            if rows == 0 || columns == 0 {
                return Err(BuildError::argument(argument, "at least 1 x 1", format!("{rows} x {columns}")));
            }
        }
        strides_or_dilation(self.strides, self.dilation_rate)?;
        if let Some([rows, columns]) = self.output_padding.filter(|added| (0..2).any(|i| added[i] >= self.strides[i])) {
            let expected = format!("less than the strides, {} x {}", self.strides[0], self.strides[1]);
            return Err(BuildError::argument("output_padding", expected, format!("{rows} x {columns}")));
        }
        let [rows, columns] = extent(self.kernel_size, self.dilation_rate)?;
        match input.dims() {
            Some([height, width, channels]) if height > 0 && width > 0 && channels > 0 => {
                Ok([self.along(0, height, rows)?, self.along(1, width, columns)?, channels])
            }
            Some([_, _, _]) => Err(BuildError::input("an image of at least 1 x 1 with at least 1 channel")),
            _ => Err(BuildError::input("an input [height, width, channels]")),
        }
    }
}

constraint_methods!(Conv2DTranspose: kernel_constraint of "kernel", bias_constraint of "bias");

impl Layer for Conv2DTranspose {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let [rows, columns, _] = self.grid(input)?;
        at_least_1("filters", self.filters)?;
        self.activation.output_shape(&Shape::from([rows, columns, self.filters]))
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let [height, width] = self.kernel_size;
        let channels = input.last().copied().unwrap_or_default();
        let shape = [height, width, self.filters, channels];
        let kernel = Variable::new("kernel", shape, self.kernel_initializer)
            .regularizer(self.kernel_regularizer)
            .constraint(self.kernel_constraint.clone());
        let bias = Variable::new("bias", [self.filters], self.bias_initializer)
            .regularizer(self.bias_regularizer)
            .constraint(self.bias_constraint.clone());
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let (mut inputs, bias) = (call.input_and_variables(), self.use_bias);
        let (size, dilation) = (self.kernel_size, effective(self.kernel_size, self.dilation_rate));
        let types = [TensorType::f32(call.shape(inputs[0]).clone())];
        let wrong = || Error::inputs("conv2d_transpose", "images that the layer was built for", &types);
        let image = self.grid(&call.shape(inputs[0]).sample()).map_err(|_| wrong())?;
        let image = [image[0], image[1]];
        let y = if dilation == ones() {
            call.add(Conv2dTranspose { strides: self.strides, padding: self.padding.into(), image, bias }, &inputs)?
        } else {
            let grids = Dilation::new(image, size, dilation, self.padding).ok_or_else(wrong)?;
            inputs[0] = call.add(grids.split_result(), &inputs[..1])?;
            let op = Conv2dTranspose { strides: ones(), padding: valid().into(), image: grids.grid(), bias };
            let y = call.add(op, &inputs)?;
            call.add(grids.join_image(), &[y])?
        };
        self.activation.apply(call, y)
    }
}

impl Saved for Conv2DTranspose {
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
