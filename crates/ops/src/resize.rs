//! `y[n, v, u] = x` at `((v + 1/2) H / OH - 1/2, (u + 1/2) W / OW - 1/2)`: images of another size.

use kiln_graph::{Array, DType, Error, Form, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::resize as kernel;
use crate::tiles::channel_tiles;

/// Resizes images: `[N, H, W, C] -> [N, OH, OW, C]`. Pixels have areas, as in TensorFlow 2 ("half-pixel centres") and
/// PyTorch's `align_corners=False`; there is no anti-aliasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// Height and width of the result, in pixels.
    pub size: [usize; 2],
    /// Whether the pixel is copied whose area holds the point. Otherwise, values are interpolated bilinearly.
    pub nearest: bool,
}

/// The gradient of [`Resize`]: `dy [N, OH, OW, C] -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct ResizeGradient {
    /// The resizing.
    pub resize: Resize,
    /// Height and width of the image, in pixels.
    pub image: [usize; 2],
}

/// The most pixels along an axis: twice the product of the two extents of an axis must fit 32 bits.
const MOST: usize = 1 << 15;

/// The extents of nonempty f32 images `[N, H, W, C]`.
fn images(inputs: &[TensorType]) -> Option<[usize; 4]> {
    match inputs {
        [x] if x.dtype == DType::F32 && x.shape.elements() > 0 => {
            x.shape.dims().filter(|[_, height, width, _]| *height < MOST && *width < MOST)
        }
        _ => None,
    }
}

impl Resize {
    fn is_possible(&self) -> bool {
        self.size.iter().all(|extent| (1..MOST).contains(extent))
    }

    fn params(&self, pixels: usize, channels: usize, image: [usize; 2]) -> kernel::Params {
        let [size, out] = [image, self.size].map(|extents| extents.map(|n| n as u32));
        kernel::Params { pixels: pixels as u32, channels: channels as u32, size, out }
    }

    fn overrides(&self) -> kernel::Overrides {
        kernel::Overrides { nearest: self.nearest }
    }

    /// The source places of a place along an axis, and their shares above 0.
    fn sources(&self, at: usize, size: usize, out: usize) -> Vec<(usize, f64)> {
        if self.nearest {
            return vec![((2 * at + 1) * size / (2 * out), 1.0)];
        }
        let place = ((at as f64 + 0.5) * size as f64 / out as f64 - 0.5).clamp(0.0, size as f64 - 1.0);
        // Whole places in spite of rounding.
        let place = if (place - place.round()).abs() < 1e-9 { place.round() } else { place };
        let (first, share) = (place.floor(), place.fract());
        let shares = [(first as usize, 1.0 - share), (first as usize + 1, share)];
        shares.into_iter().filter(|(_, share)| *share > 0.0).collect()
    }

    /// Calls `visit(place in y, place in x, share)` for every pixel and each of its sources.
    fn each(&self, [images, height, width, _]: [usize; 4], mut visit: impl FnMut(usize, usize, f64)) {
        let [out_height, out_width] = self.size;
        for at in 0..images * out_height * out_width {
            let (row, u) = (at / out_width, at % out_width);
            for (h, vertical) in self.sources(row % out_height, height, out_height) {
                for (w, horizontal) in self.sources(u, width, out_width) {
                    visit(at, (row / out_height * height + h) * width + w, vertical * horizontal);
                }
            }
        }
    }
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let [height, width] = self.size;
        let fit = images(inputs).filter(|_| self.is_possible());
        fit.map(|[images, _, _, channels]| vec![TensorType::f32([images, height, width, channels])]).ok_or_else(|| {
            let expected =
                format!("f32 [N, H, W, C], resized to {height} x {width}, with 1 to {} pixels along an axis", MOST - 1);
            Error::inputs(self.name(), expected, inputs)
        })
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let [_, height, width, channels] = lowering.dims(x)?;
        let pixels = lowering.shape(y).elements() / channels;
        let params = self.params(pixels, channels, [height, width]);
        lowering.push(kernel::Forward { x, y }.call(
            params,
            self.overrides(),
            channel_tiles(Form::Values, pixels, channels),
        ));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let image =
                gradient.shape(gradient.inputs()[0]).dims().map(|[_, height, width, _]: [usize; 4]| [height, width]);
            let dx = gradient.add(ResizeGradient { resize: *self, image: image.unwrap_or_default() }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some(x @ [images, _, _, channels]) = images(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let mut y = Array::zeros([images, self.size[0], self.size[1], channels]);
        self.each(x, |to, from, share| {
            (0..channels).for_each(|c| y.data[to * channels + c] += share * inputs[0].data[from * channels + c]);
        });
        vec![y]
    }
}

impl ResizeGradient {
    /// The extents of the images before resizing.
    fn images(&self, inputs: &[TensorType]) -> Option<[usize; 4]> {
        let [images, height, width, channels] = images(inputs)?;
        let [rows, columns] = self.image;
        let fits = [height, width] == self.resize.size && self.image.iter().all(|extent| (1..MOST).contains(extent));
        fits.then_some([images, rows, columns, channels])
    }
}

impl Op for ResizeGradient {
    fn name(&self) -> &'static str {
        "resize_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let wrong = || {
            let expected = format!("f32 dy [N, OH, OW, C] of {:?} from images of {:?}", self.resize.size, self.image);
            Error::inputs(self.name(), expected, inputs)
        };
        self.images(inputs).map(|x| vec![TensorType::f32(x)]).ok_or_else(wrong)
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let [_, _, _, channels] = lowering.dims(dy)?;
        let pixels = lowering.shape(dx).elements() / channels;
        let (params, overrides) = (self.resize.params(pixels, channels, self.image), self.resize.overrides());
        lowering.push(kernel::Gradient { dy, dx }.call(
            params,
            overrides,
            channel_tiles(Form::Values, pixels, channels),
        ));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some(x @ [_, _, _, channels]) = self.images(&[inputs[0].ty.clone()]) else { return Vec::new() };
        let mut dx = Array::zeros(x);
        self.resize.each(x, |to, from, share| {
            (0..channels).for_each(|c| dx.data[from * channels + c] += share * inputs[0].data[to * channels + c]);
        });
        vec![dx]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let shapes = [
        ([1, 1, 1, 1], [1, 1]),
        ([2, 3, 4, 3], [6, 8]),
        ([1, 3, 5, 17], [9, 10]),
        ([2, 7, 5, 2], [3, 4]),
        ([1, 1, 6, 3], [5, 1]),
        ([1, 8, 9, 1], [2, 3]),
        ([2, 5, 3, 4], [5, 3]),
        ([1, 2, 3, 33], [7, 11]),
    ];
    let mut cases = Vec::new();
    for (x, size) in shapes {
        for nearest in [false, true] {
            let name = format!("resize {x:?} to {size:?}{}", if nearest { " nearest" } else { "" });
            cases.push(Case::new(name, Resize { size, nearest }, vec![Array::random(x, 1)]).differentiable(&[0]));
        }
    }
    cases
}
