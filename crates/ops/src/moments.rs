//! `mean[c] = sum over r of x[r, c] / R`, `variance[c] = sum over r of (x[r, c] - mean[c])² / R`.

use kiln_graph::{Array, DType, Error, Form, Lowering, Op, Result, Shape, Step, Tensor, TensorType, Window};

use crate::case::Case;
use crate::kernels::moments as kernel;
use crate::tiles::channel_chunks;

/// The number of invocations that occupies a device, from which the size of chunks of rows is derived.
const BUSY: usize = 1 << 16;
/// The minimum number of rows of a chunk.
const SMALLEST_CHUNK: usize = 64;
/// The number of channels that fills a vector of lanes.
const LANES: usize = kernel::LANES as usize;

/// Mean and variance of each channel over all other axes: `x […, C] -> (mean [C], variance [C])`. The variance is
/// biased. Has no gradient.
#[derive(Clone, Copy, Debug)]
pub struct Moments;

/// `[…, C]` as rows that fill vectors: a row is one pixel or, if its channels leave lanes idle, several pixels that
/// divide the number of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) rows: usize,
    /// Elements of a row.
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Rows {
    pub(crate) fn of(shape: &Shape) -> Rows {
        let channels = shape.last().copied().unwrap_or(1).max(1);
        let pixels = (shape.elements() / channels).max(1);
        let powers = |n: usize| 1 << n.trailing_zeros().min(LANES.trailing_zeros());
        let together = (LANES / powers(channels)).min(powers(pixels));
        Rows { rows: pixels / together, width: together * channels, channels }
    }

    /// The number of values per channel.
    pub(crate) fn count(&self) -> usize {
        self.rows * self.width / self.channels
    }

    /// The number of rows per chunk, summed independently.
    pub(crate) fn chunk(&self) -> usize {
        self.rows.div_ceil(BUSY.div_ceil(self.width)).max(SMALLEST_CHUNK)
    }

    /// The number of chunks.
    pub(crate) fn chunks(&self) -> usize {
        self.rows.div_ceil(self.chunk())
    }

    /// The number of partial sums per channel.
    pub(crate) fn parts(&self) -> usize {
        self.chunks() * self.width / self.channels
    }
}

/// Pushes the calls that compute the moments of `x`: one over chunks of rows, and one that merges them.
pub(crate) fn moments(lowering: &mut Lowering, x: Tensor, mean: Tensor, variance: Tensor) {
    let rows = Rows::of(lowering.shape(x));
    let params = |form: Form, count: usize| kernel::Params {
        rows: count as u32,
        width: form.units(rows.width) as u32,
        channels: form.units(rows.channels) as u32,
        chunk: rows.chunk() as u32,
        parts: rows.parts() as u32,
        count: rows.count() as u32,
    };
    let parts = TensorType::f32([rows.parts(), rows.channels]);
    let [means, squares] = [parts.clone(), parts].map(|ty| lowering.scratch(ty));
    let Rows { width, .. } = rows;
    let form = lowering.form([rows.channels]);
    let cut = [(x, rows.chunk() * width), (means, width), (squares, width)];
    for Window { units, parts: [x, means, squares] } in lowering.windows(rows.chunks(), cut) {
        let workgroups = channel_chunks(form, units.len(), width);
        let count = lowering.shape(x).elements() / width;
        lowering.push(kernel::Chunks { x, means, squares }.call(form, params(form, count), workgroups));
    }
    let merge = kernel::Merge { part_means: means, part_squares: squares, mean, variance };
    lowering.push(
        merge
            .call(params(Form::Values, rows.rows), [rows.channels.div_ceil(kernel::MERGE_LANES as usize) as u32, 1, 1]),
    );
}

/// Mean and variance of each channel, in f64.
pub(crate) fn reference(x: &Array) -> [Array; 2] {
    let channels = x.shape().last().copied().unwrap_or(1);
    let count = (x.data.len() / channels.max(1)) as f64;
    let (mut mean, mut variance) = (Array::zeros([channels]), Array::zeros([channels]));
    for pixel in x.data.chunks(channels) {
        pixel.iter().zip(&mut mean.data).for_each(|(x, mean)| *mean += x / count);
    }
    for pixel in x.data.chunks(channels) {
        for ((x, mean), variance) in pixel.iter().zip(&mean.data).zip(&mut variance.data) {
            *variance += (x - mean) * (x - mean) / count;
        }
    }
    [mean, variance]
}

/// The number of channels of a nonempty f32 `x […, C]`.
pub(crate) fn channels(x: &TensorType) -> Option<usize> {
    let channels = x.shape.last().copied()?;
    (x.dtype == DType::F32 && x.shape.elements() > 0).then_some(channels)
}

impl Op for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] => channels(x).map(|channels| vec![TensorType::f32([channels]); 2]),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "f32 […, C] with at least one element", inputs))
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (x, mean, variance) = (lowering.inputs()[0], lowering.outputs()[0], lowering.outputs()[1]);
        moments(lowering, x, mean, variance);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        reference(inputs[0]).into()
    }
}

/// Test shapes with one and with several pixels per row, in one chunk and in many.
pub(crate) const SHAPES: [&[usize]; 10] = [
    &[1, 1],
    &[9, 7],
    &[2, 5, 6, 7],
    &[4, 3, 3, 16],
    &[257, 3],
    &[2, 3, 33],
    &[5, 257],
    &[1200, 1],
    &[2, 33, 31, 3],
    &[3, 101, 67, 16],
];

pub(crate) fn cases() -> Vec<Case> {
    let case = |shape: &[usize]| {
        // Far from zero, where `mean(x²) - mean(x)²` would lose all digits.
        let mut x = Array::random(shape, 1);
        x.data.iter_mut().for_each(|v| *v += 3.0);
        Case::new(format!("moments {shape:?}"), Moments, vec![x])
    };
    SHAPES.map(case).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_as_many_pixels_as_fill_sixteen_lanes() {
        let rows = |shape: &[usize]| {
            let rows = Rows::of(&Shape::from(shape));
            [rows.rows, rows.width, rows.channels]
        };
        assert_eq!(rows(&[128, 32, 32, 32]), [128 * 32 * 32, 32, 32]);
        assert_eq!(rows(&[128, 28, 28, 20]), [32 * 28 * 28, 80, 20]);
        assert_eq!(rows(&[128, 28, 28, 3]), [8 * 28 * 28, 48, 3]);
        assert_eq!(rows(&[6, 7]), [3, 14, 7]);
        assert_eq!(rows(&[1, 1]), [1, 1, 1]);
    }

    #[test]
    fn chunks_hold_all_rows() {
        for shape in SHAPES {
            let rows = Rows::of(&Shape::from(shape));
            assert!(rows.chunks() * rows.chunk() >= rows.rows && (rows.chunks() - 1) * rows.chunk() < rows.rows);
            assert_eq!(rows.rows * rows.width, shape.iter().product::<usize>());
        }
    }
}
