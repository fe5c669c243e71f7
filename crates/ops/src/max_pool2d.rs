//! `y[n, oy, ox, c] = max over r, s of x[n, oy*stride_y + r - top, ox*stride_x + s - left, c]`.

use std::sync::Arc;

use kiln_graph::{Array, DType, Error, Form, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::kernels::max_pool2d as kernel;
use crate::nan::larger;
use crate::tiles::channel_tiles;
use crate::window::{Padding, SlidingWindow, pooling};

/// The maximum of each window, or NaN if it has one, excluding padding: `[N, H, W, C] -> [N, OH, OW, C]`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    /// The window's height and width, in pixels.
    pub pool_size: [usize; 2],
    /// Vertical and horizontal step, in pixels.
    pub strides: [usize; 2],
    /// The padding of the image.
    pub padding: Padding,
}

/// The gradient of [`MaxPool2d`], which goes to the first maximum (or NaN) of each window: `(x [N, H, W, C], dy [N, OH,
/// OW, C]) -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2dGradient {
    /// The pooling.
    pub pool: MaxPool2d,
}

fn overrides(window: &SlidingWindow, form: Form, channels: usize, epilogue: Epilogue) -> kernel::Overrides {
    kernel::Overrides {
        channels: form.units(channels) as u32,
        epilogue: epilogue.overrides(),
        window: window.overrides(),
    }
}

fn params(pixels: usize) -> kernel::Params {
    kernel::Params { pixels: pixels as u32, lowest: f32::NEG_INFINITY }
}

impl MaxPool2d {
    /// The window, and the image's extents.
    ///
    /// # Errors
    /// If the window does not fit the input.
    fn window(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        pooling("max_pool2d", inputs, self.pool_size, self.strides, self.padding)
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
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
        let (params, overrides) = (params(pixels), overrides(&window, form, channels, Epilogue::Plain));
        lowering.push(kernel::Forward { x, y }.call(form, params, overrides, channel_tiles(form, pixels, channels)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let x = gradient.inputs()[0];
            let dx = gradient.add(MaxPool2dGradient { pool: *self }, &[x, dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok((window, [images, _, _, channels])) = self.window(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let (pixels, out_pixels) = window.pixels();
        let mut y = Array::zeros([images, window.out[0], window.out[1], channels]);
        y.data.fill(f64::NEG_INFINITY);
        for n in 0..images {
            window.each(|out, pixel, _| {
                for c in 0..channels {
                    let best = &mut y.data[(n * out_pixels + out) * channels + c];
                    *best = larger(*best, inputs[0].data[(n * pixels + pixel) * channels + c]);
                }
            });
        }
        vec![y]
    }
}

impl MaxPool2dGradient {
    /// The pooling's window, and the image's extents.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn window(&self, inputs: &[TensorType]) -> Result<(SlidingWindow, [usize; 4])> {
        let fit = |x: &TensorType, dy: &TensorType| {
            let (window, x) = self.pool.window(std::slice::from_ref(x)).ok()?;
            (window.result(x[0], x[3]) == *dy).then_some((window, x))
        };
        match inputs {
            [x, dy] => fit(x, dy),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "f32 (x [N, H, W, C], dy [N, OH, OW, C])", inputs))
    }
}

impl Op for MaxPool2dGradient {
    fn name(&self) -> &'static str {
        "max_pool2d_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.window(inputs).map(|(_, x)| vec![TensorType::f32(x)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        fused::fuse(self, next, at)
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok((window, [images, _, _, channels])) = self.pool.window(&[inputs[0].ty.clone()]) else {
            return Vec::new();
        };
        let (pixels, out_pixels) = window.pixels();
        let mut first_best = vec![None; images * out_pixels * channels];
        for n in 0..images {
            window.each(|out, pixel, _| {
                for c in 0..channels {
                    let at = (n * pixels + pixel) * channels + c;
                    let best: &mut Option<usize> = &mut first_best[(n * out_pixels + out) * channels + c];
                    let [found, known] =
                        [Some(at), *best].map(|at| at.map_or(f64::NEG_INFINITY, |at| inputs[0].data[at]));
                    if best.is_none() || (!known.is_nan() && (found.is_nan() || found > known)) {
                        *best = Some(at);
                    }
                }
            });
        }
        let mut dx = Array::zeros(inputs[0].shape().clone());
        for (best, dy) in first_best.iter().zip(&inputs[1].data) {
            if let Some(at) = *best {
                dx.data[at] += dy;
            }
        }
        vec![dx]
    }
}

impl HasEpilogue for MaxPool2dGradient {
    fn arity(&self) -> usize {
        2
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (x, dy, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (window, [images, _, _, channels]) = self.window(&lowering.input_types()[..self.arity()])?;
        let form = lowering.form([channels]);
        let overrides = overrides(&window, form, channels, epilogue);
        let gates = epilogue.gates(dy);
        let apart = (0..2).all(|axis| window.size[axis] <= window.strides[axis]);
        let pixels = match apart {
            true => images * (0..2).map(|axis| window.cells(axis)).product::<usize>(),
            false => images * window.pixels().0,
        };
        let (params, workgroups) = (params(pixels), channel_tiles(form, pixels, channels));
        lowering.push(match apart {
            true => kernel::GradientApart { x, dy, gates, dx }.call(form, params, overrides, workgroups),
            false => kernel::Gradient { x, dy, gates, dx }.call(form, params, overrides, workgroups),
        });
        Ok(())
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (x, pool_size, strides) in super::avg_pool2d::SHAPES {
        for padding in [Padding::Valid, Padding::Same] {
            let pool = MaxPool2d { pool_size, strides, padding };
            let name = format!("{x:?} {pool_size:?} / {strides:?} {}", padding.name());
            let Ok((window, _)) = pool.window(&[TensorType::f32(x)]) else { continue };
            let op = Case::new(format!("max_pool2d {name}"), pool, vec![Array::random(x, 1)]);
            cases.push(op.differentiable(&[0]));
            // Few different values, so that every window has equal maxima.
            let mut ties = Array::random_below(x, DType::U32, 3, 5);
            ties.ty.dtype = DType::F32;
            let dy = Array::random(window.result(x[0], x[3]).shape, 2);
            cases.push(Case::new(
                format!("max_pool2d_gradient ties {name}"),
                MaxPool2dGradient { pool },
                vec![ties, dy],
            ));
        }
    }
    cases
}
