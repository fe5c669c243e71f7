//! `dx[n, iy, ix, c] = sum over r, s of dy[n, (iy + top - r*dilation_y)/stride_y, (ix + left - s*dilation_x)/stride_x, c]
//! kernel[r, s, c]`.

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::depthwise::{Convolve, DilatedWindow, Geometry, geometries};
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::window::ImagePadding;

/// The gradient of [`DepthwiseConv2d`](crate::DepthwiseConv2d) with respect to the image:
/// `(dy [N, OH, OW, C], kernel [R, S, C, 1]) -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2dInputGradient {
    /// The convolution's step.
    pub strides: [usize; 2],
    /// The convolution's padding.
    pub padding: ImagePadding,
    /// The convolution's dilation.
    pub dilation: [usize; 2],
    /// The image's height and width, in pixels.
    pub image: [usize; 2],
}

impl DepthwiseConv2dInputGradient {
    fn fit(&self, dy: &TensorType, kernel: &TensorType) -> Option<(DilatedWindow, [usize; 4])> {
        let ([images, out_height, out_width, channels], kernel): ([usize; 4], [usize; 4]) =
            (dy.shape.dims()?, kernel.shape.dims()?);
        let size = [kernel[0], kernel[1]];
        let window = DilatedWindow::new(self.image, size, self.strides, self.padding, self.dilation)?;
        let fits = window.window.out == [out_height, out_width] && kernel[2..] == [channels, 1];
        fits.then_some((window, [images, self.image[0], self.image[1], channels]))
    }

    /// The window, and the shape of the image's gradient.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(DilatedWindow, [usize; 4])> {
        match inputs {
            [dy, kernel] if dy.dtype == DType::F32 && kernel.dtype == DType::F32 => self.fit(dy, kernel),
            _ => None,
        }
        .ok_or_else(|| {
            let expected = format!("f32 (dy [N, OH, OW, C], kernel [R, S, C, 1]) of an image of {:?}", self.image);
            Error::inputs("depthwise_conv2d_input_gradient", expected, inputs)
        })
    }
}

impl Op for DepthwiseConv2dInputGradient {
    fn name(&self) -> &'static str {
        "depthwise_conv2d_input_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.geometry(inputs).map(|(_, x)| vec![TensorType::f32(x)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        fused::fuse(self, next, at)
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some((window, x)) = self.fit(&inputs[0].ty, &inputs[1].ty) else { return Vec::new() };
        let [images, .., channels] = x;
        let (pixels, out_pixels) = window.window.pixels();
        let mut dx = Array::zeros(x);
        for n in 0..images {
            window.each(|out, pixel, tap| {
                for c in 0..channels {
                    dx.data[(n * pixels + pixel) * channels + c] +=
                        inputs[0].data[(n * out_pixels + out) * channels + c] * inputs[1].data[tap * channels + c];
                }
            });
        }
        vec![dx]
    }
}

impl HasEpilogue for DepthwiseConv2dInputGradient {
    fn arity(&self) -> usize {
        2
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (source, weights, result) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (window, _) = self.geometry(&lowering.input_types()[..self.arity()])?;
        Convolve { window, transposed: true, source, weights, bias: None, result, epilogue }.push(lowering)
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |Geometry { name, x, kernel, strides, padding, dilation, window }| {
        let dy = Array::random(window.result(x[0], x[3]).shape, 1);
        let op = DepthwiseConv2dInputGradient { strides, padding, dilation, image: [x[1], x[2]] };
        Case::new(format!("depthwise_conv2d_input_gradient {name}"), op, vec![dy, Array::random(kernel, 2)])
    };
    geometries().map(case).collect()
}
