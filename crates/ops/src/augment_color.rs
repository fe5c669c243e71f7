//! `y = scale * (cval in the cutout square, else v) + offset`, where v is x after channel shift and brightness.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::augment_warp::images_and_draws;
use crate::case::Case;
use crate::image_statistics::STATISTICS;
use crate::kernels::augment_color as kernel;
use crate::nan::clamped;
use crate::tiles::spread;

/// Augments the colours of images: `(x [N, H, W, C], draws [N, 10]) -> [N, H, W, C]`, with draws from
/// [`AugmentDraw`](crate::AugmentDraw). With a channel shift, the third input is
/// [`ImageStatistics`](crate::ImageStatistics) of `x`.
///
/// Adds the channel shift and clamps to the image's range of values; multiplies by the brightness and clamps to 0 to
/// 255; then fills the cutout square.
#[derive(Clone, Copy, Debug)]
pub struct AugmentColor {
    /// Whether there is a channel shift.
    pub shifts: bool,
    /// Whether brightness changes.
    pub brightens: bool,
    /// The side of the cutout square in pixels; 0 for none.
    pub cutout: u32,
    /// The value in that square.
    pub cval: f32,
    /// The factor of the result.
    pub scale: f32,
    /// The offset added to the scaled result.
    pub offset: f32,
}

impl AugmentColor {
    fn dims(&self, inputs: &[TensorType]) -> Result<[usize; 4]> {
        let dims = images_and_draws(self.name(), inputs)?;
        let statistics = TensorType::f32([dims[0], STATISTICS]);
        match &inputs[2..] {
            [] if !self.shifts => Ok(dims),
            [found] if self.shifts && *found == statistics => Ok(dims),
            _ => {
                let third = if self.shifts { format!(", statistics [N, {STATISTICS}]") } else { String::new() };
                Err(Error::inputs(self.name(), format!("f32 (x [N, H, W, C], draws [N, 10]{third})"), inputs))
            }
        }
    }
}

impl Op for AugmentColor {
    fn name(&self) -> &'static str {
        "augment_color"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.dims(inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, draws, y) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let statistics = lowering.inputs().get(2).copied().unwrap_or(draws);
        let [images, height, width, channels] = self.dims(&lowering.input_types())?;
        let (rows, elements) = (images * height, width * channels);
        let overrides = kernel::Overrides {
            height: height as u32,
            elements: elements as u32,
            channels: channels as u32,
            shifts: self.shifts,
            brightens: self.brightens,
        };
        let AugmentColor { cutout, cval, scale, offset, .. } = *self;
        let params = kernel::Params { rows: rows as u32, cutout, cval, scale, offset };
        let workgroups = spread(rows, kernel::ROWS, elements, kernel::LANES);
        lowering.push(kernel::Forward { x, draws, statistics, y }.call(params, overrides, workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let types: Vec<TensorType> = inputs.iter().map(|input| input.ty.clone()).collect();
        let Ok([_, height, width, channels]) = self.dims(&types) else { return Vec::new() };
        let color = |i: usize, x: f64| {
            let (n, r, q) = (i / (height * width * channels), i / (width * channels) % height, i / channels % width);
            let draws = &inputs[1].data[n * inputs[1].shape()[1]..];
            let in_square = |at: usize, first: f64| (0.0..f64::from(self.cutout)).contains(&(at as f64 - first));
            let mut value = x;
            if self.shifts {
                let range = &inputs[2].data[n * STATISTICS..];
                value = clamped(value + draws[6], range[0], range[1]);
            }
            if self.brightens {
                value = clamped(value * draws[7], 0.0, 255.0);
            }
            if in_square(r, draws[8]) && in_square(q, draws[9]) && !value.is_nan() {
                value = f64::from(self.cval);
            }
            f64::from(self.scale) * value + f64::from(self.offset)
        };
        let y = inputs[0].data.iter().enumerate().map(|(i, &x)| color(i, x)).collect();
        vec![Array::new(inputs[0].ty.clone(), y)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dims in [[1, 1, 1, 1], [5, 3, 257, 1], [17, 9, 7, 3]] {
        for (shifts, brightens, cutout) in [(true, false, 0), (false, true, 3), (true, true, 4)] {
            let op = AugmentColor { shifts, brightens, cutout, cval: 17.0, scale: 0.0625, offset: -1.0 };
            let drawn = |n: usize| {
                let change = n as f64 - 2.0;
                [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 10.0 * change, 1.0 + change / 4.0, change, 4.0 - 2.0 * change]
            };
            let draws = Array::f32([dims[0], 10], (0..dims[0]).flat_map(drawn).collect());
            let mut x = Array::random(dims, 1);
            x.data.iter_mut().for_each(|v| *v = 128.0 * *v + 120.0);
            let mut inputs = vec![x, draws];
            if shifts {
                let range = (0..dims[0]).flat_map(|n| [-3.0, 200.0 + n as f64, 0.0, 0.0]).collect();
                inputs.push(Array::f32([dims[0], STATISTICS], range));
            }
            let name = format!("augment_color {dims:?} shifts {shifts} brightens {brightens} cutout {cutout}");
            cases.push(Case::new(name, op, inputs));
        }
    }
    cases
}
