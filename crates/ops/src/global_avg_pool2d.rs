//! `y[n, c] = mean over h, w of x[n, h, w, c]`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::global_avg_pool2d as kernel;
use crate::tiles::image_channel_tiles;

/// The mean of each channel of each image: `[N, H, W, C] -> [N, C]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAvgPool2d;

/// `dx[n, h, w, c] = dy[n, c] / (H W)`: `dy [N, C] -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAvgPool2dGradient {
    /// The image's height and width, in pixels.
    pub image: [usize; 2],
}

/// The extents of images for global pooling.
///
/// # Errors
/// If the input is not one f32 tensor of images of at least one pixel.
pub(crate) fn images(op: &'static str, inputs: &[TensorType]) -> Result<[usize; 4]> {
    match inputs {
        [x] if x.dtype == DType::F32 => x.shape.dims().filter(|[_, height, width, _]: &[usize; 4]| height * width > 0),
        _ => None,
    }
    .ok_or_else(|| Error::inputs(op, "f32 [N, H, W, C] with at least one pixel", inputs))
}

fn params([images, height, width, channels]: [usize; 4]) -> kernel::Params {
    let [images, pixels, channels] = [images, height * width, channels].map(|n| n as u32);
    kernel::Params { images, pixels, channels }
}

impl Op for GlobalAvgPool2d {
    fn name(&self) -> &'static str {
        "global_avg_pool2d"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        images(self.name(), inputs).map(|[images, _, _, channels]| vec![TensorType::f32([images, channels])])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let extents = images(self.name(), &lowering.input_types())?;
        let workgroups = image_channel_tiles(extents[0], extents[3]);
        lowering.push(kernel::Forward { x, y }.call(params(extents), workgroups));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let image =
                gradient.shape(gradient.inputs()[0]).dims().map(|[_, height, width, _]: [usize; 4]| [height, width]);
            let dx = gradient.add(GlobalAvgPool2dGradient { image: image.unwrap_or_default() }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok([images, height, width, channels]) = images(self.name(), &[inputs[0].ty.clone()]) else {
            return Vec::new();
        };
        let mut y = Array::zeros([images, channels]);
        for (at, x) in inputs[0].data.iter().enumerate() {
            let image = at / (height * width * channels);
            y.data[image * channels + at % channels] += x / (height * width) as f64;
        }
        vec![y]
    }
}

impl GlobalAvgPool2dGradient {
    /// The extents of the images.
    ///
    /// # Errors
    /// If the input is invalid.
    fn images(&self, inputs: &[TensorType]) -> Result<[usize; 4]> {
        let [height, width] = self.image;
        match inputs {
            [dy] if dy.dtype == DType::F32 && height * width > 0 => dy.shape.dims(),
            _ => None,
        }
        .map(|[images, channels]: [usize; 2]| [images, height, width, channels])
        .ok_or_else(|| Error::inputs(self.name(), format!("f32 dy [N, C] of images of {height} x {width}"), inputs))
    }
}

impl Op for GlobalAvgPool2dGradient {
    fn name(&self) -> &'static str {
        "global_avg_pool2d_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.images(inputs).map(|x| vec![TensorType::f32(x)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let extents = self.images(&lowering.input_types())?;
        let workgroups = image_channel_tiles(extents[0], extents[3]);
        lowering.push(kernel::Gradient { dy, dx }.call(params(extents), workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Ok(extents @ [_, height, width, channels]) = self.images(&[inputs[0].ty.clone()]) else {
            return Vec::new();
        };
        let mut dx = Array::zeros(extents);
        for (at, dx) in dx.data.iter_mut().enumerate() {
            let image = at / (height * width * channels);
            *dx = inputs[0].data[image * channels + at % channels] / (height * width) as f64;
        }
        vec![dx]
    }
}

/// Test shapes of global pooling.
pub(crate) const SHAPES: [[usize; 4]; 6] =
    [[1, 1, 1, 1], [2, 3, 5, 3], [3, 7, 7, 17], [1, 1, 3, 257], [5, 257, 1, 1], [9, 2, 2, 33]];

pub(crate) fn cases() -> Vec<Case> {
    let case = |x: [usize; 4]| {
        Case::new(format!("global_avg_pool2d {x:?}"), GlobalAvgPool2d, vec![Array::random(x, 1)]).differentiable(&[0])
    };
    SHAPES.map(case).into()
}
