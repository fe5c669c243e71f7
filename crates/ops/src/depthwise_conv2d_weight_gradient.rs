//! `dkernel[r, s, c] = sum over n, oy, ox of x[n, oy*stride_y + r*dilation_y - top, ox*stride_x + s*dilation_x - left, c]
//! dy[n, oy, ox, c]`.

use kiln_graph::{Array, DType, Error, Form, Lowering, Op, Result, Step, TensorType, Window, linear_workgroups};

use crate::case::Case;
use crate::depthwise::{DilatedWindow, Geometry, geometries};
use crate::kernels::lib::depthwise_weight_gradient::Params;
use crate::kernels::{depthwise_conv2d_weight_gradient as kernel, depthwise_conv2d_weight_gradient_quads as quads};
use crate::sum::sum_rows;
use crate::tiles::spread;
use crate::window::ImagePadding;

/// The number of invocations that occupies a GPU.
const BUSY_GPU: usize = 1 << 16;
/// The pixels of a chunk whose values of 16 channels, of both tensors, fit in the level 1 cache of any current processor.
const CACHED: usize = 256;
/// The minimum number of pixels per tap of a chunk: chunks' sums need at most a quarter of the image's memory.
const LEAST_PER_TAP: usize = 4;
/// The maximum number of rows of a chunk, which are summed one after the other.
const MOST_ROWS: usize = 256;

/// The gradient of [`DepthwiseConv2d`](crate::DepthwiseConv2d) with respect to the kernel:
/// `(x [N, H, W, C], dy [N, OH, OW, C]) -> [R, S, C, 1]`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2dWeightGradient {
    /// The convolution's step.
    pub strides: [usize; 2],
    /// The convolution's padding.
    pub padding: ImagePadding,
    /// The convolution's dilation.
    pub dilation: [usize; 2],
    /// The kernel's height and width, in taps.
    pub size: [usize; 2],
}

/// The rows of `dy` in units of whole images, and in chunks: a chunk is a unit, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunks {
    /// Images of a unit.
    images: usize,
    /// Rows of a chunk.
    rows: usize,
    /// Chunks of a unit.
    of_unit: usize,
}

impl Chunks {
    /// Chunks of about `rows` rows, for images of `height` rows.
    fn of(rows: usize, height: usize) -> Chunks {
        if rows >= height {
            let images = rows / height;
            return Chunks { images, rows: images * height, of_unit: 1 };
        }
        let rows = height.div_ceil(height.div_ceil(rows));
        Chunks { images: 1, rows, of_unit: height.div_ceil(rows) }
    }
}

impl DepthwiseConv2dWeightGradient {
    /// The window, and the shape of the kernel's gradient.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn geometry(&self, inputs: &[TensorType]) -> Result<(DilatedWindow, [usize; 4])> {
        match inputs {
            [x, dy] if x.dtype == DType::F32 && dy.dtype == DType::F32 => self.fit(x, dy),
            _ => None,
        }
        .ok_or_else(|| {
            let expected = format!("f32 (x [N, H, W, C], dy [N, OH, OW, C]) for a kernel of {:?}", self.size);
            Error::inputs("depthwise_conv2d_weight_gradient", expected, inputs)
        })
    }

    fn fit(&self, x: &TensorType, dy: &TensorType) -> Option<(DilatedWindow, [usize; 4])> {
        let [images, height, width, channels]: [usize; 4] = x.shape.dims()?;
        let window = DilatedWindow::new([height, width], self.size, self.strides, self.padding, self.dilation)?;
        let kernel = [self.size[0], self.size[1], channels, 1];
        (window.window.result(images, channels) == *dy).then_some((window, kernel))
    }
}

impl Op for DepthwiseConv2dWeightGradient {
    fn name(&self) -> &'static str {
        "depthwise_conv2d_weight_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.geometry(inputs).map(|(_, kernel)| vec![TensorType::f32(kernel)])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, dy, dkernel) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (window, [r, s, channels, _]) = self.geometry(&lowering.input_types())?;
        let (images, taps, [height, width]) = (lowering.shape(dy)[0], r * s, window.window.out);
        let wanted = match lowering.limits().gpu_kernels {
            true => images * height * taps * channels.div_ceil(4) / BUSY_GPU,
            false => CACHED.div_ceil(width),
        };
        let least = (LEAST_PER_TAP * taps).div_ceil(width);
        let Chunks { images: unit, rows, of_unit } = Chunks::of(wanted.max(least).min(MOST_ROWS), height);
        let units = images.div_ceil(unit);
        let chunks = units * of_unit;
        let partial = match chunks {
            1 => dkernel,
            _ => lowering.scratch(TensorType::f32([chunks, taps * channels])),
        };
        let [image, result] = [x, dy].map(|tensor| unit * lowering.shape(tensor).sample().elements());
        let cut = [(x, image), (dy, result), (partial, of_unit * taps * channels)];
        for Window { units, parts: [x, dy, partial] } in lowering.windows(units, cut) {
            let chunks = units.len() * of_unit;
            let images = images.min(units.end * unit) - units.start * unit;
            let [rows_of_part, unit, chunk, unit_chunks, chunks32] =
                [images * height, unit * height, rows, of_unit, chunks].map(|n| n as u32);
            let params = Params { rows: rows_of_part, unit, chunk, unit_chunks, chunks: chunks32 };
            let sliding = window.window.overrides();
            let form = lowering.form([channels]);
            let depthwise = window.overrides(form, channels);
            lowering.push(match form {
                Form::Quads => {
                    let workgroups = linear_workgroups(chunks * taps * form.units(channels), 256);
                    let overrides = quads::Overrides { depthwise, window: sliding };
                    quads::Forward { x, dy, partial }.call(params, overrides, workgroups)
                }
                Form::Values => {
                    let workgroups = spread(chunks, 1, channels, kernel::LANES);
                    let overrides = kernel::Overrides { depthwise, window: sliding };
                    kernel::Forward { x, dy, partial }.call(params, overrides, workgroups)
                }
            });
        }
        if chunks > 1 {
            sum_rows(lowering, partial, dkernel, [chunks, taps * channels], 1.0);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some((window, kernel)) = self.fit(&inputs[0].ty, &inputs[1].ty) else { return Vec::new() };
        let channels = kernel[2];
        let (pixels, out_pixels) = window.window.pixels();
        let mut dkernel = Array::zeros(kernel);
        for n in 0..inputs[0].shape()[0] {
            window.each(|out, pixel, tap| {
                for c in 0..channels {
                    dkernel.data[tap * channels + c] += inputs[0].data[(n * pixels + pixel) * channels + c]
                        * inputs[1].data[(n * out_pixels + out) * channels + c];
                }
            });
        }
        vec![dkernel]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |Geometry { name, x, strides, padding, dilation, window, .. }| {
        let dy = Array::random(window.result(x[0], x[3]).shape, 2);
        let op = DepthwiseConv2dWeightGradient { strides, padding, dilation, size: window.size };
        Case::new(format!("depthwise_conv2d_weight_gradient {name}"), op, vec![Array::random(x, 1), dy])
    };
    geometries().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_parts_of_an_image_or_whole_images() {
        assert_eq!(Chunks::of(3, 112), Chunks { images: 1, rows: 3, of_unit: 38 });
        assert_eq!(Chunks::of(20, 28), Chunks { images: 1, rows: 14, of_unit: 2 });
        assert_eq!(Chunks::of(37, 7), Chunks { images: 5, rows: 35, of_unit: 1 });
        assert_eq!(Chunks::of(1, 1), Chunks { images: 1, rows: 1, of_unit: 1 });
    }
}
