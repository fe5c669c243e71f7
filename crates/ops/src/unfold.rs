//! `y[p, (r S + s) C + c] = x[n, oy*stride_y + r - top, ox*stride_x + s - left, c]` for `p = (n, oy, ox)`.

use kiln_graph::{Array, Call, Lowering, Op, Pieces, Result, Step, Tensor, TensorType, linear_workgroups};

use crate::case::Case;
use crate::conv2d::geometries;
use crate::kernels::unfold as kernel;
use crate::pad::in_fours;
use crate::window::{ImagePadding, SlidingWindow, pooling};

/// Copies the window of each output pixel of a convolution to a row for a matrix product ("im2col"), 0 outside of the
/// image; rows are padded with zeros: `[N, H, W, C] -> [N, OH, OW, R S C rounded up to a multiple of 4]`.
#[derive(Clone, Copy, Debug)]
pub struct Unfold {
    /// The window's height and width, in pixels.
    pub size: [usize; 2],
    /// Vertical and horizontal step, in pixels.
    pub strides: [usize; 2],
    /// The padding of the image.
    pub padding: ImagePadding,
}

/// The padded number of values of a window.
fn length(window: &SlidingWindow, channels: usize) -> usize {
    (window.size[0] * window.size[1] * channels).next_multiple_of(4)
}

/// A convolution's image prepared for products in quads: rows padded to a multiple of 4. A grey image would grow
/// fourfold, so its windows are unfolded instead: the convolution becomes 1 x 1, with the values of a window as
/// channels.
pub(crate) struct ImageInQuads {
    /// The window of the remaining convolution.
    pub(crate) window: SlidingWindow,
    /// The channels of the remaining convolution, not padded.
    pub(crate) inner: usize,
    /// The number of elements of the padded image.
    pub(crate) elements: usize,
    /// The window to unfold.
    unfold: Option<SlidingWindow>,
    images: usize,
}

impl ImageInQuads {
    pub(crate) fn new(window: SlidingWindow, images: usize, channels: usize) -> ImageInQuads {
        let values = window.size[0] * window.size[1] * channels;
        if channels > 1 || values == channels {
            let elements = images * window.pixels().0 * channels.next_multiple_of(4);
            return ImageInQuads { window, inner: channels, elements, unfold: None, images };
        }
        let elements = images * window.pixels().1 * length(&window, channels);
        ImageInQuads { window: window.of_single_pixels(), inner: values, elements, unfold: Some(window), images }
    }

    /// Prepares the image, in a scratch tensor if necessary.
    pub(crate) fn of(&self, lowering: &mut Lowering, x: Tensor) -> Tensor {
        let Some(window) = &self.unfold else {
            return in_fours(lowering, x, [self.images * self.window.pixels().0, 1, self.inner]);
        };
        let y = lowering.scratch(TensorType::f32([self.elements]));
        lowering.push(call(x, y, window, self.images, self.inner / (window.size[0] * window.size[1])));
        y
    }
}

fn call(x: Tensor, y: Tensor, window: &SlidingWindow, images: usize, channels: usize) -> Call {
    let quads_of_row = length(window, channels) / 4;
    let quads = images * window.pixels().1 * quads_of_row;
    let overrides =
        kernel::Overrides { channels: channels as u32, length: quads_of_row as u32, window: window.overrides() };
    kernel::Forward { x, y }.call(kernel::Params { quads: quads as u32 }, overrides, linear_workgroups(quads, 256))
}

impl Unfold {
    /// The window, and the image's extents.
    ///
    /// # Errors
    /// If the window does not fit the input.
    fn window(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        pooling("unfold", inputs, self.size, self.strides, self.padding)
    }
}

impl Op for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let (window, [images, _, _, channels]) = self.window(inputs)?;
        Ok(vec![window.result(images, length(&window, channels))])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (window, [images, _, _, channels]) = self.window(&lowering.input_types())?;
        lowering.push(call(lowering.inputs()[0], lowering.outputs()[0], &window, images, channels));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok((window, [images, _, _, channels])) = self.window(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let (length, (pixels, out_pixels)) = (length(&window, channels), window.pixels());
        let mut y = Array::zeros([images, window.out[0], window.out[1], length]);
        for n in 0..images {
            window.each(|out, pixel, tap| {
                for c in 0..channels {
                    let value = inputs[0].data[(n * pixels + pixel) * channels + c];
                    y.data[(n * out_pixels + out) * length + tap * channels + c] = value;
                }
            });
        }
        vec![y]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    geometries()
        .filter(|(_, x, ..)| x[3] < 8)
        .map(|(name, x, kernel, strides, padding, _)| {
            let op = Unfold { size: [kernel[0], kernel[1]], strides, padding };
            Case::new(format!("unfold {name}"), op, vec![Array::random(x, 1)])
        })
        .collect()
}
