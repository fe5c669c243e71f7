//! `dx[n, iy, ix, c] = sum over r, s, k of dy[n, (iy + top - r)/stride_y, (ix + left - s)/stride_x, k] kernel[r, s, c, k]`.

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::conv2d::{geometries, window};
use crate::fused::{self, Epilogue, Finishes};
use crate::kernels::conv2d_input_gradient as kernel;
use crate::pad::{in_fours, quads_fit, transposed_in_fours};
use crate::tiles::{quad_tiles, tiles};
use crate::transpose;
use crate::window::{Padding, Window, window_overrides};

/// The gradient of [`Conv2d`](crate::Conv2d) with respect to the image:
/// `(dy [N, OH, OW, K], kernel [R, S, C, K]) -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dInputGradient {
    /// The convolution's step.
    pub strides: [usize; 2],
    /// The convolution's padding.
    pub padding: Padding,
    /// The image's height and width, in pixels.
    pub image: [usize; 2],
}

impl Conv2dInputGradient {
    /// The window, and the shape of the image's gradient.
    ///
    /// # Errors
    /// When the inputs do not fit.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(Window, [usize; 4])> {
        match inputs {
            [dy, kernel] if dy.dtype == DType::F32 && kernel.dtype == DType::F32 => self.fit(dy, kernel),
            _ => None,
        }
        .ok_or_else(|| {
            let expected = format!("f32 (dy [N, OH, OW, K], kernel [R, S, C, K]) of an image of {:?}", self.image);
            Error::inputs("conv2d_input_gradient", expected, inputs)
        })
    }

    fn fit(&self, dy: &TensorType, kernel: &TensorType) -> Option<(Window, [usize; 4])> {
        let ([images, out_height, out_width, filters], kernel) = (dy.shape.dims()?, kernel.shape.dims()?);
        let x = [images, self.image[0], self.image[1], kernel[2]];
        let window = window(&x, &kernel, self.strides, self.padding)?;
        (window.out == [out_height, out_width] && filters == kernel[3]).then_some((window, x))
    }
}

impl Op for Conv2dInputGradient {
    fn name(&self) -> &'static str {
        "conv2d_input_gradient"
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
        let (channels, filters) = (x[3], inputs[0].shape()[3]);
        let (pixels, out_pixels) = window.pixels();
        let mut dx = Array::zeros(x);
        for n in 0..x[0] {
            window.each(|out, pixel, tap| {
                for k in 0..filters {
                    let g = inputs[0].data[(n * out_pixels + out) * filters + k];
                    for c in 0..channels {
                        let w = inputs[1].data[(tap * channels + c) * filters + k];
                        dx.data[(n * pixels + pixel) * channels + c] += g * w;
                    }
                }
            });
        }
        vec![dx]
    }
}

impl Finishes for Conv2dInputGradient {
    fn arity(&self) -> usize {
        2
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (dy, weights, result) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (window, x) = self.geometry(&lowering.input_types()[..self.arity()])?;
        let [r, s, channels, filters] = lowering.dims(weights)?;
        let (area, out_area) = window.pixels();
        let (pixels, out_pixels) = (x[0] * area, x[0] * out_area);
        let params = kernel::Params { pixels: pixels as u32 };
        let [deep, wide] = [filters, channels].map(|n| n.next_multiple_of(4));
        let quads = quads_fit(lowering, filters, [out_pixels * deep, r * s * filters * wide]);
        let spread = quad_tiles(pixels, channels);
        let overrides = window_overrides!(
            conv2d_input_gradient,
            window,
            depth: if quads { deep } else { filters } as u32,
            inner: filters as u32,
            columns: channels as u32,
            lanes: spread.lanes,
            has_bias: false,
            epilogue: epilogue.code(),
        );
        let call = if quads {
            let source = in_fours(lowering, dy, [out_pixels, 1, filters]);
            let weights4 = transposed_in_fours(lowering, weights, [r * s, filters, channels]);
            let tensors =
                kernel::Quads { source, weights4, bias: weights, gates: epilogue.gates(weights), result };
            tensors.call(params, overrides, spread.workgroups)
        } else {
            let transposed = lowering.scratch(TensorType::f32([r, s, filters, channels]));
            lowering.push(transpose::call(weights, transposed, [r * s, channels, filters]));
            let gates = epilogue.gates(transposed);
            let tensors = kernel::Forward { source: dy, weights: transposed, bias: transposed, gates, result };
            tensors.call(params, overrides, tiles(pixels, channels))
        };
        lowering.push(call.flops(2 * out_pixels * r * s * channels * filters));
        Ok(())
    }
}

pub(crate) fn cases() -> Vec<Case> {
    geometries()
        .map(|(name, x, kernel, strides, padding, window)| {
            let dy = Array::random([x[0], window.out[0], window.out[1], kernel[3]], 1);
            let op = Conv2dInputGradient { strides, padding, image: [x[1], x[2]] };
            Case::new(format!("conv2d_input_gradient {name}"), op, vec![dy, Array::random(kernel, 2)])
        })
        .collect()
}
