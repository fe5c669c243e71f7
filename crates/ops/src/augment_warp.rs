//! `y[n, r, q, c] = scale * (x[n, :, :, c] at row d0 r + d1 q + d2 and column d3 r + d4 q + d5, d = draws[n]) + offset`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType};
use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::kernels::augment_warp as kernel;
use crate::tiles::spread;

/// The values outside an image: Keras' `fill_mode`, as in `scipy.ndimage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillMode {
    /// The nearest pixel: `aaaa|abcd|dddd`.
    #[default]
    Nearest,
    /// The value `cval`, for any place outside of the centres of the first and the last pixel: `kkkk|abcd|kkkk`.
    Constant,
    /// The image reflected at its edge: `dcba|abcd|dcba`.
    Reflect,
    /// The image again and again, its last pixel in the place of the next one's first: `bcabc|abcd|bcdbc`. Keras computes
    /// this, though it documents `abcd|abcd|abcd`.
    Wrap,
}

impl FillMode {
    /// The constant of `shaders/lib/warp.wgsl`.
    pub(crate) fn code(self) -> u32 {
        match self {
            FillMode::Nearest => kernel::NEAREST,
            FillMode::Constant => kernel::CONSTANT,
            FillMode::Reflect => kernel::REFLECT,
            FillMode::Wrap => kernel::WRAP,
        }
    }
}

/// Transforms images: `(x [N, H, W, C], draws [N, 10]) -> [N, H, W, C]`, with draws from
/// [`AugmentDraw`](crate::AugmentDraw). An image whose transform is not finite is NaN.
#[derive(Clone, Copy, Debug)]
pub struct AugmentWarp {
    /// Whether to interpolate linearly between pixels (Keras' `interpolation_order` 1), or to use the nearest pixel
    /// (0).
    pub interpolated: bool,
    /// The values outside of the image.
    pub fill_mode: FillMode,
    /// The value of [`FillMode::Constant`].
    pub cval: f32,
    /// The factor of the result.
    pub scale: f32,
    /// The offset added to the scaled result.
    pub offset: f32,
}

impl AugmentWarp {
    /// The pixels of an axis that contribute to a finite position, with their weights; none outside.
    fn taps(&self, place: f64, size: usize) -> Option<[(usize, f64); 2]> {
        let n = size as f64;
        let last = n - 1.0;
        let inside = match self.fill_mode {
            _ if (0.0..=last).contains(&place) => place,
            FillMode::Nearest => place.clamp(0.0, last),
            FillMode::Constant => return None,
            FillMode::Reflect => {
                let around = (place + 0.5).rem_euclid(2.0 * n);
                (if around < n { around } else { 2.0 * n - around }) - 0.5
            }
            FillMode::Wrap if size == 1 => 0.0,
            FillMode::Wrap if place < 0.0 => last - (-place).rem_euclid(last),
            FillMode::Wrap => place.rem_euclid(last),
        };
        let pixel = |at: f64| at.clamp(0.0, last) as usize;
        let below = inside.floor();
        if self.interpolated {
            let share = inside - below;
            Some([(pixel(below), 1.0 - share), (pixel(below + 1.0), share)])
        } else {
            Some([(pixel((inside + 0.5).floor()), 1.0), (0, 0.0)])
        }
    }
}

impl Op for AugmentWarp {
    fn name(&self) -> &'static str {
        "augment_warp"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        images_and_draws(self.name(), inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, draws, y) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let [images, height, width, channels] = images_and_draws(self.name(), &lowering.input_types())?;
        let overrides = kernel::Overrides {
            height: height as u32,
            width: width as u32,
            channels: channels as u32,
            interpolated: self.interpolated,
            fill_mode: self.fill_mode.code(),
        };
        let rows = images * height;
        let params = kernel::Params { rows: rows as u32, cval: self.cval, scale: self.scale, offset: self.offset };
        let workgroups = spread(rows, kernel::ROWS, width, kernel::COLUMNS);
        lowering.push(kernel::Forward { x, draws, y }.call(params, overrides, workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (x, draws) = (inputs[0], inputs[1]);
        let Ok([images, height, width, channels]) = images_and_draws(self.name(), &[x.ty.clone(), draws.ty.clone()])
        else {
            return Vec::new();
        };
        let mut y = Vec::with_capacity(x.data.len());
        for n in 0..images {
            let d = &draws.data[n * draws.shape()[1]..][..draws.shape()[1]];
            let pixel = |r: usize, q: usize, c: usize| x.data[((n * height + r) * width + q) * channels + c];
            if !d[..6].iter().all(|d| d.is_finite()) {
                y.extend(std::iter::repeat_n(f64::NAN, height * width * channels));
                continue;
            }
            for (r, q) in (0..height).flat_map(|r| (0..width).map(move |q| (r, q))) {
                let (down, right) = (r as f64, q as f64);
                let rows = self.taps(d[0] * down + d[1] * right + d[2], height);
                let columns = self.taps(d[3] * down + d[4] * right + d[5], width);
                for c in 0..channels {
                    let value = match (rows, columns) {
                        (Some(rows), Some(columns)) => {
                            // A pixel with weight 0 is ignored, even if it is NaN.
                            let shared = |taps: &[(usize, f64)], of: &dyn Fn(usize) -> f64| {
                                taps.iter().filter(|tap| tap.1 != 0.0).map(|&(at, share)| share * of(at)).sum::<f64>()
                            };
                            shared(&rows, &|r| shared(&columns, &|q| pixel(r, q, c)))
                        }
                        _ => f64::from(self.cval),
                    };
                    y.push(f64::from(self.scale) * value + f64::from(self.offset));
                }
            }
        }
        vec![Array::new(x.ty.clone(), y)]
    }
}

/// The extents of the images.
///
/// # Errors
/// If the first two inputs are not images and their draws.
pub(crate) fn images_and_draws(op: &'static str, inputs: &[TensorType]) -> Result<[usize; 4]> {
    let fit = |x: &TensorType, draws: &TensorType| {
        let dims: [usize; 4] = x.shape.dims()?;
        let drawn = TensorType::f32([dims[0], kernel::DRAWS as usize]);
        (x.dtype == DType::F32 && *draws == drawn && x.shape.elements() > 0).then_some(dims)
    };
    match inputs {
        [x, draws, ..] => fit(x, draws),
        _ => None,
    }
    .ok_or_else(|| Error::inputs(op, format!("f32 (x [N, H, W, C], draws [N, {}])", kernel::DRAWS), inputs))
}

pub(crate) fn cases() -> Vec<Case> {
    // Few bits, so that positions on an edge are exact in f32, and none is half-way between two pixels.
    let transforms: [[f64; 6]; 7] = [
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, -1.0, 4.0],
        [1.0, 0.0, -2.0, 0.0, 1.0, 3.0],
        [1.0, 0.0, 0.3125, 0.0, 1.0, -40.6875],
        [0.8125, -0.40625, 1.328125, 0.53125, 0.71875, -0.671875],
        [2.1875, 0.0, -3.046875, 0.0, 0.4375, 0.078125],
        [-0.28125, 1.15625, 2.078125, 1.28125, 0.21875, -20.296875],
    ];
    let draws = |images: usize| {
        let drawn = (0..images).flat_map(|n| transforms[n % 7].into_iter().chain([0.0, 1.0, 0.0, 0.0]));
        Array::f32([images, 10], drawn.collect())
    };
    let mut cases = Vec::new();
    for fill_mode in [FillMode::Nearest, FillMode::Constant, FillMode::Reflect, FillMode::Wrap] {
        for interpolated in [false, true] {
            for dims in [[7, 1, 1, 1], [7, 5, 5, 3], [3, 3, 257, 1], [14, 9, 17, 4]] {
                let op = AugmentWarp { interpolated, fill_mode, cval: 0.75, scale: 0.5, offset: -0.125 };
                let order = u32::from(interpolated);
                let name = format!("augment_warp {dims:?} {fill_mode:?} order {order}");
                cases.push(Case::new(name, op, vec![Array::random(dims, 1), draws(dims[0])]));
            }
        }
    }
    cases
}
