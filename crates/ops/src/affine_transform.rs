//! `y[n, r, q, c] = x[n, :, :, c] at row m0 r + m1 q + m2 and column m3 r + m4 q + m5, m = maps[n]`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::augment_warp::FillMode;
use crate::case::Case;
use crate::kernels::affine_transform as kernel;
use crate::tiles::spread;

/// Transforms images as Keras' `ops.image.affine_transform` does: `(x [N, H, W, C], maps [N, 6]) -> [N, H, W, C]`, with
/// maps from [`AffineDraw`](crate::AffineDraw). An image whose map is not finite is NaN.
///
/// Outside of the image, the rules are TensorFlow's (`ImageProjectiveTransformV3`), which differ from those of
/// [`AugmentWarp`](crate::AugmentWarp) and SciPy: with [`FillMode::Constant`], positions less than a pixel outside are
/// interpolated between the image and the fill value; [`FillMode::Wrap`] has a period of `n` pixels up to `n - 1` pixels
/// outside, and other pixels beyond. The gradient is the exact one, where TensorFlow transforms the gradient by the inverse
/// map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineTransform {
    /// Whether to interpolate linearly between pixels, or to use the nearest pixel.
    pub interpolated: bool,
    /// The values outside of the image.
    pub fill_mode: FillMode,
    /// The value of [`FillMode::Constant`].
    pub fill_value: f32,
}

/// The gradient of [`AffineTransform`]: `(dy [N, H, W, C], maps [N, 6]) -> [N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct AffineTransformGradient {
    /// The transform.
    pub transform: AffineTransform,
}

/// The extents of the images.
///
/// # Errors
/// If the inputs are not images and a map for each.
fn images_and_maps(op: &'static str, inputs: &[TensorType]) -> Result<[usize; 4]> {
    let fit = |x: &TensorType, maps: &TensorType| {
        let dims: [usize; 4] = x.shape.dims()?;
        let of_images = TensorType::f32([dims[0], kernel::MAP as usize]);
        (x.dtype == DType::F32 && *maps == of_images && x.shape.elements() > 0).then_some(dims)
    };
    match inputs {
        [x, maps] => fit(x, maps),
        _ => None,
    }
    .ok_or_else(|| Error::inputs(op, format!("f32 (images [N, H, W, C], maps [N, {}])", kernel::MAP), inputs))
}

impl AffineTransform {
    fn overrides(&self, [_, height, width, channels]: [usize; 4]) -> kernel::Overrides {
        kernel::Overrides {
            height: height as u32,
            width: width as u32,
            channels: channels as u32,
            interpolated: self.interpolated,
            fill_mode: self.fill_mode.code(),
        }
    }

    fn params(&self, [images, height, _, channels]: [usize; 4]) -> kernel::Params {
        let [rows, planes] = [images * height, images * channels].map(|n| n as u32);
        kernel::Params { rows, planes, fill_value: self.fill_value }
    }

    /// The pixels of an axis that contribute to a finite position, `None` outside, with their weights above 0.
    fn taps(&self, place: f64, size: usize) -> Vec<(Option<usize>, f64)> {
        let n = size as f64;
        let last = n - 1.0;
        let at = match self.fill_mode {
            FillMode::Constant => place.clamp(-2.0, n + 1.0),
            FillMode::Nearest => place.clamp(0.0, last),
            FillMode::Reflect => {
                let around = place.rem_euclid(2.0 * n);
                (if around < n { around } else { 2.0 * n - 1.0 - around }).clamp(0.0, last)
            }
            FillMode::Wrap => {
                let period = last.max(1.0);
                let moved = match place {
                    _ if place < 0.0 => place + n * ((-place / period).floor() + 1.0),
                    _ if place > last => place - n * (place / period).floor(),
                    _ => place,
                };
                moved.clamp(0.0, last)
            }
        };
        let pixel = |at: f64| (0.0..=last).contains(&at).then_some(at as usize);
        if !self.interpolated {
            return vec![(pixel(at.round()), 1.0)];
        }
        let shares = [(pixel(at.floor()), 1.0 - (at - at.floor())), (pixel(at.floor() + 1.0), at - at.floor())];
        shares.into_iter().filter(|(_, share)| *share != 0.0).collect()
    }

    /// Calls `visit(index in y, index in x or `None` outside, share)` for every element and each of its sources, and
    /// `visit(index in y, None, NaN)` in images whose map is not finite.
    fn each(
        &self,
        [images, height, width, channels]: [usize; 4],
        maps: &Array,
        mut visit: impl FnMut(usize, Option<usize>, f64),
    ) {
        let pixels = (0..images).flat_map(|n| (0..height).flat_map(move |r| (0..width).map(move |q| (n, r, q))));
        for (at, (n, r, q)) in pixels.enumerate() {
            let m = &maps.data[n * 6..][..6];
            let elements = |at: usize| (0..channels).map(move |c| at * channels + c);
            if !m.iter().all(|number| number.is_finite()) {
                elements(at).for_each(|element| visit(element, None, f64::NAN));
                continue;
            }
            let place = |first: usize| m[first] * r as f64 + m[first + 1] * q as f64 + m[first + 2];
            for (row, vertical) in self.taps(place(0), height) {
                for (column, horizontal) in self.taps(place(3), width) {
                    let source = row.zip(column).map(|(row, column)| (n * height + row) * width + column);
                    for c in 0..channels {
                        visit(at * channels + c, source.map(|at| at * channels + c), vertical * horizontal);
                    }
                }
            }
        }
    }
}

impl Op for AffineTransform {
    fn name(&self) -> &'static str {
        "affine_transform"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        images_and_maps(self.name(), inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let extents @ [images, height, width, _] = images_and_maps(self.name(), &lowering.input_types())?;
        let (x, maps, y) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let workgroups = spread(images * height, kernel::ROWS, width, kernel::COLUMNS);
        let call = kernel::Forward { x, maps, y };
        lowering.push(call.call(self.params(extents), self.overrides(extents), workgroups));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let maps = gradient.inputs()[1];
        if let Some(dy) = gradient.output_gradient(0).filter(|_| gradient.wants(0)) {
            let dx = gradient.add(AffineTransformGradient { transform: *self }, &[dy, maps])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (x, maps) = (inputs[0], inputs[1]);
        let Ok(extents) = images_and_maps(self.name(), &[x.ty.clone(), maps.ty.clone()]) else { return Vec::new() };
        let mut y = Array::zeros(x.shape().clone());
        self.each(extents, maps, |to, from, share| {
            y.data[to] += share * from.map_or(f64::from(self.fill_value), |from| x.data[from]);
        });
        vec![y]
    }
}

impl Op for AffineTransformGradient {
    fn name(&self) -> &'static str {
        "affine_transform_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        images_and_maps(self.name(), inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let extents @ [images, _, _, channels] = images_and_maps(self.name(), &lowering.input_types())?;
        let (dy, maps, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (params, overrides) = (self.transform.params(extents), self.transform.overrides(extents));
        let workgroups = linear_workgroups(images * channels, 256);
        lowering.push(kernel::Gradient { maps, dy, dx }.call(params, overrides, workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (dy, maps) = (inputs[0], inputs[1]);
        let Ok(extents) = images_and_maps(self.name(), &[dy.ty.clone(), maps.ty.clone()]) else { return Vec::new() };
        let mut dx = Array::zeros(dy.shape().clone());
        self.transform.each(extents, maps, |to, from, share| match from {
            Some(from) => dx.data[from] += share * dy.data[to],
            None if share.is_nan() => dx.data[to] = f64::NAN,
            None => {}
        });
        vec![dx]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    // Few bits, so that positions are exact in f32, and none is where a fill mode jumps.
    let maps: [[f64; 6]; 7] = [
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, -1.0, 4.0],
        [1.0, 0.0, -1.75, 0.0, 1.0, 2.6875],
        [1.0, 0.0, 0.3125, 0.0, 1.0, -40.6875],
        [0.8125, -0.40625, 1.328125, 0.53125, 0.71875, -0.671875],
        [2.1875, 0.0, -3.046875, 0.0, 0.4375, 0.078125],
        [-0.28125, 1.15625, 2.078125, 1.28125, 0.21875, -20.296875],
    ];
    let given = |images: usize| Array::f32([images, 6], (0..images).flat_map(|n| maps[n % 7]).collect());
    let mut cases = Vec::new();
    for fill_mode in [FillMode::Nearest, FillMode::Constant, FillMode::Reflect, FillMode::Wrap] {
        for interpolated in [false, true] {
            for dims in [[7, 1, 1, 1], [7, 5, 5, 3], [3, 3, 257, 1], [14, 9, 17, 4]] {
                let op = AffineTransform { interpolated, fill_mode, fill_value: 0.75 };
                let kind = if interpolated { "bilinear" } else { "nearest" };
                let name = format!("affine_transform {dims:?} {fill_mode:?} {kind}");
                cases.push(Case::new(name, op, vec![Array::random(dims, 1), given(dims[0])]).differentiable(&[0]));
            }
        }
    }
    cases
}
