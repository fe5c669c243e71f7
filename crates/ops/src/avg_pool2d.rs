//! `y[n, oy, ox, c] = mean over the r, s inside the image of x[n, oy*stride_y + r - top, ox*stride_x + s - left, c]`.

use kiln_graph::{Array, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::avg_pool2d as kernel;
use crate::tiles::channel_tiles;
use crate::window::{Padding, SlidingWindow, pooling};

/// The mean of each window, excluding padding: `[N, H, W, C] -> [N, OH, OW, C]`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d {
    /// The window's height and width, in pixels.
    pub pool_size: [usize; 2],
    /// Vertical and horizontal step, in pixels.
    pub strides: [usize; 2],
    /// The padding of the image.
    pub padding: Padding,
}

/// The gradient of [`AvgPool2d`]: `dy [N, OH, OW, C] -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2dGradient {
    /// The pooling.
    pub pool: AvgPool2d,
    /// The image's height and width, in pixels.
    pub image: [usize; 2],
}

impl AvgPool2d {
    /// The window, and the image's extents.
    ///
    /// # Errors
    /// If the window does not fit the input.
    fn window(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        pooling("avg_pool2d", inputs, self.pool_size, self.strides, self.padding)
    }
}

/// The number of image pixels in the window of each output pixel.
fn cells(window: &SlidingWindow) -> Vec<f64> {
    let mut cells = vec![0.0; window.pixels().1];
    window.each(|out, _, _| cells[out] += 1.0);
    cells
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.window(inputs).map(|(window, [images, _, _, channels])| vec![window.result(images, channels)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let (window, [_, _, _, channels]) = self.window(&lowering.input_types())?;
        let pixels = lowering.shape(y).elements() / channels.max(1);
        let form = lowering.form([channels]);
        let overrides = kernel::Overrides { channels: form.units(channels) as u32, window: window.overrides() };
        let params = kernel::Params { pixels: pixels as u32 };
        lowering.push(kernel::Forward { x, y }.call(form, params, overrides, channel_tiles(form, pixels, channels)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let image =
                gradient.shape(gradient.inputs()[0]).dims().map(|[_, height, width, _]: [usize; 4]| [height, width]);
            let dx = gradient.add(AvgPool2dGradient { pool: *self, image: image.unwrap_or_default() }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok((window, [images, _, _, channels])) = self.window(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let (pixels, out_pixels) = window.pixels();
        let cells = cells(&window);
        let mut y = Array::zeros([images, window.out[0], window.out[1], channels]);
        for n in 0..images {
            window.each(|out, pixel, _| {
                for c in 0..channels {
                    let x = inputs[0].data[(n * pixels + pixel) * channels + c];
                    y.data[(n * out_pixels + out) * channels + c] += x / cells[out];
                }
            });
        }
        vec![y]
    }
}

impl AvgPool2dGradient {
    /// The pooling's window, and the image's extents.
    ///
    /// # Errors
    /// If the input is invalid.
    fn window(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        let fit = |dy: &TensorType| {
            let [images, _, _, channels] = dy.shape.dims()?;
            let x = TensorType::f32([images, self.image[0], self.image[1], channels]);
            let (window, x) = self.pool.window(&[x]).ok()?;
            (window.result(images, channels) == *dy).then_some((window, x))
        };
        match inputs {
            [dy] => fit(dy),
            _ => None,
        }
        .ok_or_else(|| {
            Error::inputs(self.name(), format!("f32 dy [N, OH, OW, C] of an image of {:?}", self.image), inputs)
        })
    }
}

impl Op for AvgPool2dGradient {
    fn name(&self) -> &'static str {
        "avg_pool2d_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.window(inputs).map(|(_, x)| vec![TensorType::f32(x)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let (window, [_, _, _, channels]) = self.window(&lowering.input_types())?;
        let pixels = lowering.shape(dx).elements() / channels.max(1);
        let form = lowering.form([channels]);
        let overrides = kernel::Overrides { channels: form.units(channels) as u32, window: window.overrides() };
        let params = kernel::Params { pixels: pixels as u32 };
        lowering.push(kernel::Gradient { dy, dx }.call(form, params, overrides, channel_tiles(form, pixels, channels)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok((window, x)) = self.window(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let (pixels, out_pixels) = window.pixels();
        let cells = cells(&window);
        let mut dx = Array::zeros(x);
        for n in 0..x[0] {
            window.each(|out, pixel, _| {
                for c in 0..x[3] {
                    let dy = inputs[0].data[(n * out_pixels + out) * x[3] + c];
                    dx.data[(n * pixels + pixel) * x[3] + c] += dy / cells[out];
                }
            });
        }
        vec![dx]
    }
}

/// Test shapes of pooling: image, window, strides.
pub(crate) const SHAPES: [([usize; 4], [usize; 2], [usize; 2]); 10] = [
    ([1, 1, 1, 1], [1, 1], [1, 1]),
    ([2, 8, 8, 5], [2, 2], [2, 2]),
    ([2, 9, 7, 3], [3, 3], [2, 2]),
    ([1, 7, 7, 3], [3, 3], [1, 1]),
    ([1, 9, 8, 257], [2, 3], [3, 2]),
    ([3, 5, 6, 1], [4, 2], [1, 3]),
    ([2, 7, 8, 5], [3, 2], [3, 3]),
    ([2, 9, 7, 8], [3, 3], [2, 2]),
    ([1, 8, 6, 260], [2, 2], [2, 2]),
    ([2, 7, 8, 12], [3, 2], [3, 3]),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (x, pool_size, strides) in SHAPES {
        for padding in [Padding::Valid, Padding::Same] {
            let pool = AvgPool2d { pool_size, strides, padding };
            if pool.window(&[TensorType::f32(x)]).is_ok() {
                let name = format!("avg_pool2d {x:?} {pool_size:?} / {strides:?} {}", padding.name());
                cases.push(Case::new(name, pool, vec![Array::random(x, 1)]).differentiable(&[0]));
            }
        }
    }
    cases
}
