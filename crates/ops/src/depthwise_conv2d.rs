//! `y[n, oy, ox, c] = bias[c] + sum over r, s of x[n, oy*stride_y + r*dilation_y - top, ox*stride_x + s*dilation_x - left, c]
//! kernel[r, s, c]`.

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::depthwise::{Convolve, DilatedWindow, Geometry, geometries};
use crate::depthwise_conv2d_input_gradient::DepthwiseConv2dInputGradient;
use crate::depthwise_conv2d_weight_gradient::DepthwiseConv2dWeightGradient;
use crate::fold_batch_norm::{self, Convolution};
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::sum::SumRows;
use crate::window::ImagePadding;

/// Convolution of each channel of images with its own window: `(x [N, H, W, C], kernel [R, S, C, 1], bias [C] if any) ->
/// [N, OH, OW, C]`. [`RepeatChannels`](crate::RepeatChannels) before it is Keras' `depth_multiplier`. In mixed precision it
/// computes in f32: its time is that of reading and writing images.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d {
    /// Vertical and horizontal step, in pixels.
    pub strides: [usize; 2],
    /// The padding of the image.
    pub padding: ImagePadding,
    /// Rows and columns between adjacent taps of the window, in pixels; 1 for a window without gaps.
    pub dilation: [usize; 2],
    /// Whether there is a bias.
    pub bias: bool,
}

impl DepthwiseConv2d {
    fn fit(&self, x: &TensorType, kernel: &TensorType) -> Option<(DilatedWindow, [usize; 4])> {
        let (x, kernel): ([usize; 4], [usize; 4]) = (x.shape.dims()?, kernel.shape.dims()?);
        let size = [kernel[0], kernel[1]];
        let window = DilatedWindow::new([x[1], x[2]], size, self.strides, self.padding, self.dilation)?;
        (kernel[2..] == [x[3], 1]).then_some((window, x))
    }

    /// The window, and the shape of the images.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(DilatedWindow, [usize; 4])> {
        let fitted = match inputs {
            [x, kernel] if !self.bias => self.fit(x, kernel),
            [x, kernel, bias] if self.bias => self.fit(x, kernel).filter(|(_, x)| bias.shape.dims() == Some([x[3]])),
            _ => None,
        };
        fitted.filter(|_| inputs.iter().all(|ty| ty.dtype == DType::F32)).ok_or_else(|| {
            let expected = format!(
                "f32 (x [N, H, W, C], kernel [R, S, C, 1]{}) with strides {:?}, dilation {:?} and a window that fits ({} \
                 padding)",
                if self.bias { ", bias [C]" } else { "" },
                self.strides,
                self.dilation,
                self.padding
            );
            Error::inputs("depthwise_conv2d", expected, inputs)
        })
    }
}

impl Op for DepthwiseConv2d {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let (DilatedWindow { window, .. }, [images, .., channels]) = self.geometry(inputs)?;
        Ok(vec![window.result(images, channels)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        fused::fuse(self, next, at).or_else(|| fold_batch_norm::fuse(self, next, at))
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dy) = gradient.output_gradient(0) else { return Ok(()) };
        let (x, kernel) = (gradient.inputs()[0], gradient.inputs()[1]);
        let DepthwiseConv2d { strides, padding, dilation, .. } = *self;
        if gradient.wants(0) {
            let image = gradient.shape(x).dims().map(|[_, height, width, _]: [usize; 4]| [height, width]);
            let image = image.unwrap_or_default();
            let dx = gradient.add(DepthwiseConv2dInputGradient { strides, padding, dilation, image }, &[dy, kernel])?;
            gradient.set(0, dx);
        }
        if gradient.wants(1) {
            let size = gradient.shape(kernel).dims().map(|[r, s, _, _]: [usize; 4]| [r, s]).unwrap_or_default();
            let dkernel = gradient.add(DepthwiseConv2dWeightGradient { strides, padding, dilation, size }, &[x, dy])?;
            gradient.set(1, dkernel);
        }
        if self.bias && gradient.wants(2) {
            let dbias = gradient.add(SumRows, &[dy])?;
            gradient.set(2, dbias);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some((window, [images, .., channels])) = self.fit(&inputs[0].ty, &inputs[1].ty) else { return Vec::new() };
        let (pixels, out_pixels) = window.window.pixels();
        let mut y = Array::zeros(window.window.result(images, channels).shape);
        if self.bias {
            y.data.iter_mut().enumerate().for_each(|(at, v)| *v = inputs[2].data[at % channels]);
        }
        for n in 0..images {
            window.each(|out, pixel, tap| {
                for c in 0..channels {
                    y.data[(n * out_pixels + out) * channels + c] +=
                        inputs[0].data[(n * pixels + pixel) * channels + c] * inputs[1].data[tap * channels + c];
                }
            });
        }
        vec![y]
    }
}

impl Convolution for DepthwiseConv2d {
    fn has_bias(&self) -> bool {
        self.bias
    }

    fn with_bias(&self) -> DepthwiseConv2d {
        DepthwiseConv2d { bias: true, ..*self }
    }
}

impl HasEpilogue for DepthwiseConv2d {
    fn arity(&self) -> usize {
        2 + usize::from(self.bias)
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (source, weights, result) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let bias = self.bias.then(|| lowering.inputs()[2]);
        let (window, _) = self.geometry(&lowering.input_types()[..self.arity()])?;
        Convolve { window, transposed: false, source, weights, bias, result, epilogue }.push(lowering)
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(i, geometry): (usize, Geometry)| {
        let Geometry { name, x, kernel, strides, padding, dilation, .. } = geometry;
        let bias = i % 3 != 2;
        let mut inputs = vec![Array::random(x, 1), Array::random(kernel, 2)];
        inputs.extend(bias.then(|| Array::random([x[3]], 3)));
        let differentiable: Vec<usize> = (0..inputs.len()).collect();
        let op = DepthwiseConv2d { strides, padding, dilation, bias };
        Case::new(format!("depthwise_conv2d {name}"), op, inputs).differentiable(&differentiable)
    };
    geometries().enumerate().map(case).collect()
}
