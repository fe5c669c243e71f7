//! The geometry of depthwise convolutions, and the call that their forward pass and their input gradient share.

use kiln_graph::{Form, Lowering, Tensor};

use crate::fused::Epilogue;
use crate::kernels::depthwise_conv2d as kernel;
use crate::kernels::lib::depthwise::Overrides;
use crate::kernels::lib::depthwise_convolve::{self, Params};
use crate::tiles::channel_chunks;
use crate::window::{ImagePadding, Padding, SlidingWindow, dilated};

/// A sliding window with dilation, in pixels. The window's size is its number of taps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DilatedWindow {
    pub(crate) window: SlidingWindow,
    /// Rows and columns between adjacent taps.
    pub(crate) dilation: [usize; 2],
}

impl DilatedWindow {
    /// `None` if the window does not fit the image.
    pub(crate) fn new(
        image: [usize; 2],
        size: [usize; 2],
        strides: [usize; 2],
        padding: ImagePadding,
        dilation: [usize; 2],
    ) -> Option<DilatedWindow> {
        let window = SlidingWindow::new(image, dilated(size, dilation)?, strides, padding)?;
        Some(DilatedWindow { window: SlidingWindow { size, ..window }, dilation })
    }

    /// Calls `visit(output, input, tap)` for every pair of an output pixel and an image pixel at one of its taps. For
    /// references.
    pub(crate) fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let SlidingWindow { image, size, strides, out, before } = self.window;
        for at in 0..out[0] * out[1] {
            for tap in 0..size[0] * size[1] {
                let y = (at / out[1] * strides[0] + tap / size[1] * self.dilation[0]).checked_sub(before[0]);
                let x = (at % out[1] * strides[1] + tap % size[1] * self.dilation[1]).checked_sub(before[1]);
                if let (Some(y), Some(x)) = (y.filter(|&y| y < image[0]), x.filter(|&x| x < image[1])) {
                    visit(at, y * image[1] + x, tap);
                }
            }
        }
    }

    /// The overrides of `shaders/lib/depthwise.wgsl` for this number of channels.
    pub(crate) fn overrides(&self, form: Form, channels: usize) -> Overrides {
        let [dilation_y, dilation_x] = self.dilation.map(|n| n as u32);
        Overrides { channels: form.units(channels) as u32, dilation_y, dilation_x }
    }
}

/// A depthwise convolution or its input gradient.
pub(crate) struct Convolve {
    pub(crate) window: DilatedWindow,
    /// Whether `source` is the gradient of the output, and `result` that of the image.
    pub(crate) transposed: bool,
    pub(crate) source: Tensor,
    /// `[R, S, C, 1]`
    pub(crate) weights: Tensor,
    pub(crate) bias: Option<Tensor>,
    pub(crate) result: Tensor,
    pub(crate) epilogue: Epilogue,
}

impl Convolve {
    /// Pushes the call.
    ///
    /// # Errors
    /// If the result is not a batch of images.
    pub(crate) fn push(self, lowering: &mut Lowering) -> kiln_graph::Result<()> {
        let Convolve { window, transposed, source, weights, bias, result, epilogue } = self;
        let [images, height, width, channels] = lowering.dims(result)?;
        let apart = if transposed { window.window.strides[1] } else { 1 };
        let tiles = width.div_ceil(apart).div_ceil(kernel::TILE as usize);
        let count = images * height * apart * tiles;
        let params = Params { count: count as u32, tiles: tiles as u32 };
        let convolve = depthwise_convolve::Overrides { transposed, has_bias: bias.is_some() };
        let (bias, gates) = (bias.unwrap_or(weights), epilogue.gates(weights));
        let form = lowering.form([channels]);
        let overrides = kernel::Overrides {
            depthwise: window.overrides(form, channels),
            depthwise_convolve: convolve,
            epilogue: epilogue.overrides(),
            window: window.window.overrides(),
        };
        let workgroups = channel_chunks(form, count, channels);
        lowering
            .push(kernel::Forward { source, weights, bias, gates, result }.call(form, params, overrides, workgroups));
        Ok(())
    }
}

/// A test geometry: its name, the image, the kernel, strides, padding, dilation and window.
pub(crate) struct Geometry {
    pub(crate) name: String,
    pub(crate) x: [usize; 4],
    pub(crate) kernel: [usize; 4],
    pub(crate) strides: [usize; 2],
    pub(crate) padding: ImagePadding,
    pub(crate) dilation: [usize; 2],
    pub(crate) window: SlidingWindow,
}

/// An image, and the window, strides and dilation on it.
type Extents = ([usize; 4], [usize; 2], [usize; 2], [usize; 2]);

/// Test shapes of all kernels.
const SHAPES: [Extents; 13] = [
    ([1, 1, 1, 1], [1, 1], [1, 1], [1, 1]),
    ([2, 7, 9, 3], [3, 3], [1, 1], [1, 1]),
    ([2, 4, 5, 4], [3, 3], [1, 1], [1, 1]),
    ([1, 8, 15, 16], [3, 3], [2, 2], [1, 1]),
    ([2, 5, 31, 8], [3, 3], [1, 1], [1, 1]),
    ([2, 9, 8, 20], [5, 5], [1, 1], [1, 1]),
    ([1, 11, 19, 4], [7, 7], [2, 2], [1, 1]),
    ([1, 9, 17, 6], [3, 2], [2, 3], [1, 1]),
    ([1, 12, 13, 8], [3, 3], [1, 1], [2, 3]),
    ([1, 10, 9, 17], [3, 3], [2, 2], [2, 1]),
    ([1, 3, 4, 260], [3, 3], [1, 1], [1, 1]),
    ([1, 4, 5, 3], [1, 1], [3, 3], [1, 1]),
    ([3, 40, 33, 5], [3, 3], [1, 1], [1, 1]),
];

/// Each shape with both paddings of Keras', and some with another one, if the window fits.
pub(crate) fn geometries() -> impl Iterator<Item = Geometry> {
    let keras = [Padding::Same, Padding::Valid].map(ImagePadding::Keras);
    let pixels = SHAPES.into_iter().map(|shape| (shape, ImagePadding::Pixels([[2, 1], [0, 2]])));
    let pixels = pixels.filter(|((_, [r, s], _, _), _)| *r > 2 && *s > 2);
    let kinds = SHAPES.into_iter().flat_map(move |shape| keras.map(|padding| (shape, padding)));
    kinds.chain(pixels).filter_map(|((x, size, strides, dilation), padding)| {
        let window = DilatedWindow::new([x[1], x[2]], size, strides, padding, dilation)?.window;
        let name = format!("{x:?} {size:?} / {strides:?} by {dilation:?} {}", padding);
        Some(Geometry { name, x, kernel: [size[0], size[1], x[3], 1], strides, padding, dilation, window })
    })
}
