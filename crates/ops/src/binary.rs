//! `z = f(x, y)`, element by element, with axes of extent 1 repeated (broadcasting).

use kiln_graph::{Array, DType, Error, Form, Gradient, Lowering, Op, Pieces, Result, Shape, Step, Tensor, TensorType};

use crate::axes::{Axis, Grid, axes, broadcast, each, merged};
use crate::case::Case;
use crate::kernels::binary as kernel;
use crate::nan::{larger, smaller};
use crate::scale_add::ScaleAdd;
use crate::sum::sum_rows;
use crate::tiles::{channel_chunks, channel_tiles};

/// The number of invocations that occupies a device, from which the size of chunks of a sum is derived.
const BUSY: usize = 1 << 16;
/// The minimum number of terms of a chunk.
const SMALLEST_CHUNK: usize = 64;

/// A function of two tensors of the same rank, in which an axis of extent 1 is repeated as often as the other tensor
/// needs: `(x […], y […]) -> […]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Binary {
    /// `a x + b y`
    Linear {
        /// The factor of the first tensor.
        a: f32,
        /// The factor of the second tensor.
        b: f32,
    },
    /// `x y`
    Multiply,
    /// `max(x, y)`. The gradient of equal values is that of `x`, as in TensorFlow.
    Maximum,
    /// `min(x, y)`. The gradient of equal values is that of `x`, as in TensorFlow.
    Minimum,
    /// `x` for `x > 0`, else `x y` (He et al. 2015, with the slope `y`). Where `x` is 0, no gradient passes.
    Prelu,
}

/// The gradient of [`Binary`] with respect to one input: `dz` times the slope, summed over the axes along which that
/// input is repeated. The inputs are `dz` and those that the slope depends on: none of [`Binary::Linear`], the other one of
/// [`Binary::Multiply`], both of the others.
#[derive(Clone, Debug)]
pub struct BinaryGradient {
    /// The function.
    pub function: Binary,
    /// Which of the two inputs.
    pub input: usize,
    /// The shape of that input.
    pub shape: Shape,
    /// The shape of the other input.
    pub other: Shape,
}

impl Binary {
    fn code(self) -> u32 {
        match self {
            Binary::Linear { .. } => kernel::LINEAR,
            Binary::Multiply => kernel::MULTIPLY,
            Binary::Maximum => kernel::MAXIMUM,
            Binary::Minimum => kernel::MINIMUM,
            Binary::Prelu => kernel::PRELU,
        }
    }

    fn factors(self) -> [f32; 2] {
        if let Binary::Linear { a, b } = self { [a, b] } else { [0.0; 2] }
    }

    fn value(self, x: f64, y: f64) -> f64 {
        match self {
            Binary::Linear { a, b } => f64::from(a) * x + f64::from(b) * y,
            Binary::Multiply => x * y,
            Binary::Maximum => larger(x, y),
            Binary::Minimum => smaller(x, y),
            Binary::Prelu if x < 0.0 => x * y,
            Binary::Prelu => x,
        }
    }

    /// `dz` times the slope along `u`, one of the two inputs, with the other one's value `v`.
    fn passed(self, first: bool, dz: f64, u: f64, v: f64) -> f64 {
        let if_chosen = |chosen: bool| match chosen {
            _ if dz.is_nan() || u.is_nan() || v.is_nan() => f64::NAN,
            true => dz,
            false => 0.0,
        };
        match self {
            Binary::Linear { a, b } => dz * f64::from(if first { a } else { b }),
            Binary::Multiply => dz * v,
            Binary::Maximum => if_chosen(u > v || (first && u == v)),
            Binary::Minimum => if_chosen(u < v || (first && u == v)),
            Binary::Prelu if first && u.is_nan() => f64::NAN,
            Binary::Prelu if first && u == 0.0 => 0.0,
            Binary::Prelu if first => dz * if u > 0.0 { 1.0 } else { v },
            Binary::Prelu if v.is_nan() || dz.is_nan() => f64::NAN,
            Binary::Prelu => {
                if v < 0.0 {
                    dz * v
                } else {
                    0.0
                }
            }
        }
    }
}

/// Two f32 tensors, and the shape of the result.
fn combined(inputs: &[TensorType]) -> Option<Shape> {
    match inputs {
        [x, y] if x.dtype == DType::F32 && y.dtype == DType::F32 => broadcast(&x.shape, &y.shape),
        _ => None,
    }
}

fn words<const D: usize>(numbers: [usize; D]) -> [u32; D] {
    numbers.map(|n| n as u32)
}

/// The parameters of a call without a sum.
fn params(grid: &Grid<2>, [a, b]: [f32; 2]) -> kernel::Params {
    let ([x_strides, y_strides], [x_step, y_step]) = (grid.strides, words(grid.steps));
    kernel::Params {
        extents: words(grid.extents),
        x_strides: words(x_strides),
        y_strides: words(y_strides),
        z_strides: [0; 4],
        x_step,
        y_step,
        z_step: 1,
        last: grid.last as u32,
        width: grid.width as u32,
        blocks: grid.blocks() as u32,
        rows: grid.rows() as u32,
        chunk: 1,
        terms: 1,
        inner: 1,
        y_sum: [0; 2],
        z_sum: [0; 2],
        a,
        b,
    }
}

/// Pushes the call that computes `z = f(x, y)` along these axes.
pub(crate) fn combine(
    lowering: &mut Lowering,
    [x, y, z]: [Tensor; 3],
    grid: &Grid<2>,
    (function, factors): (u32, [f32; 2]),
) {
    let overrides = kernel::Overrides { function, first: true };
    let workgroups = channel_tiles(Form::Values, grid.rows(), grid.width);
    lowering.push(kernel::Forward { x, y, z }.call(params(grid, factors), overrides, workgroups));
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let out = combined(inputs).filter(|out| {
            let [x, y] = [&inputs[0].shape, &inputs[1].shape];
            Grid::of(axes(out, [x, y])).is_some()
        });
        let expected = "two f32 tensors of the same rank, whose axes are equal or 1, with at most 5 runs of axes that \
                        are repeated alike";
        out.map(|out| vec![TensorType::f32(out)]).ok_or_else(|| Error::inputs(self.name(), expected, inputs))
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let out = self.infer(&lowering.input_types())?.remove(0).shape;
        let (x, y, z) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let axes = axes(&out, [lowering.shape(x), lowering.shape(y)]);
        if let Some(grid) = Grid::of(axes) {
            combine(lowering, [x, y, z], &grid, (self.code(), self.factors()));
        }
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dz) = gradient.output_gradient(0) else { return Ok(()) };
        let inputs = [gradient.inputs()[0], gradient.inputs()[1]];
        for (input, other) in [(0, 1), (1, 0)] {
            if !gradient.wants(input) {
                continue;
            }
            let [shape, other_shape] = [input, other].map(|input| gradient.shape(inputs[input]).clone());
            let whole = shape == *gradient.shape(dz);
            let found = match self {
                Binary::Linear { .. } if whole => match self.factors()[input] {
                    1.0 => dz,
                    factor => gradient.add(ScaleAdd { a: factor, b: 0.0 }, &[dz, dz])?,
                },
                Binary::Multiply if whole => gradient.add(Binary::Multiply, &[dz, inputs[other]])?,
                _ => {
                    let op = BinaryGradient { function: *self, input, shape, other: other_shape };
                    let taken = match self {
                        Binary::Linear { .. } => vec![dz],
                        Binary::Multiply => vec![dz, inputs[other]],
                        _ => vec![dz, inputs[input], inputs[other]],
                    };
                    gradient.add(op, &taken)?
                }
            };
            gradient.set(input, found);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [x, y] = [inputs[0], inputs[1]];
        let Some(out) = broadcast(x.shape(), y.shape()) else { return Vec::new() };
        let mut z = Vec::new();
        each(&axes(&out, [x.shape(), y.shape()]), |[i, j]| z.push(self.value(x.data[i], y.data[j])));
        vec![Array::f32(out, z)]
    }
}

impl BinaryGradient {
    /// The axes of the result, and those of the sum, with the strides of the result, the other input and dz.
    fn axes(&self, shape: &Shape, other: &Shape) -> Option<[Vec<Axis<3>>; 2]> {
        let out = broadcast(shape, other)?;
        let all = axes(&out, [shape, other, &out]);
        let is_summed = |axis: &Axis<3>| axis.strides[0] == 0 && axis.extent != 1;
        let (summed, kept) = all.into_iter().partition::<Vec<_>, _>(is_summed);
        let (kept, summed) = (merged(kept), merged(summed));
        (summed.len() <= 2).then_some([kept, summed])
    }

    /// Replaces the first extent, which may be that of a piece.
    fn of_piece(&self, dx: &Shape, dz: &Shape) -> [Shape; 2] {
        let mut other: Vec<usize> = self.other.to_vec();
        if let (Some(extent), Some(&samples)) = (other.first_mut(), dz.first()) {
            *extent = if *extent == 1 { 1 } else { samples };
        }
        [dx.clone(), other.into()]
    }
}

impl Op for BinaryGradient {
    fn name(&self) -> &'static str {
        "binary_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let [shape, other] = [&self.shape, &self.other];
        let out = broadcast(shape, other).filter(|_| {
            let axes = self.axes(shape, other);
            axes.is_some_and(|[kept, _]| Grid::of(kept).is_some())
        });
        let taken = out.map(|out| match self.function {
            Binary::Linear { .. } => vec![out],
            Binary::Multiply => vec![out, other.clone()],
            _ => vec![out, shape.clone(), other.clone()],
        });
        let types = taken.map(|shapes| shapes.into_iter().map(TensorType::f32).collect::<Vec<_>>());
        match types {
            Some(types) if types == inputs => Ok(vec![TensorType::f32(shape.clone())]),
            _ => {
                let expected = format!(
                    "f32 dz and what the slope depends on, for inputs {shape} and {other} that are repeated along at most \
                     two runs of axes"
                );
                Err(Error::inputs(self.name(), expected, inputs))
            }
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (dz, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let (x, y) = match lowering.inputs()[1..] {
            [x, y] => (x, y),
            [y] => (dz, y),
            _ => (dz, dz),
        };
        let [shape, other] = self.of_piece(lowering.shape(dx), lowering.shape(dz));
        let axes = self.axes(&shape, &other);
        let grid = axes.and_then(|[kept, summed]| Some((Grid::of(kept)?, summed)));
        let Some((grid, summed)) = grid else {
            return Err(Error::inputs(self.name(), "fewer repeated axes", &lowering.input_types()));
        };
        let one = Axis { extent: 1, strides: [0; 3] };
        let [outer, inner] = match summed[..] {
            [outer, inner] => [outer, inner],
            [inner] => [one, inner],
            _ => [one; 2],
        };
        let terms = outer.extent * inner.extent;
        let results = shape.elements();
        let chunk = terms.div_ceil(BUSY.div_ceil(results.max(1))).max(SMALLEST_CHUNK);
        let chunks = terms.div_ceil(chunk).max(1);
        let [_, _, z_strides] = grid.strides;
        let two = without_dz(&grid);
        let params = kernel::Params {
            z_strides: words(z_strides),
            z_step: grid.steps[2] as u32,
            chunk: chunk as u32,
            terms: terms as u32,
            inner: inner.extent as u32,
            y_sum: words([outer.strides[1], inner.strides[1]]),
            z_sum: words([outer.strides[2], inner.strides[2]]),
            ..params(&two, self.function.factors())
        };
        let overrides = kernel::Overrides { function: self.function.code(), first: self.input == 0 };
        let workgroups = channel_chunks(Form::Values, grid.rows() * chunks, grid.width);
        let sums = match chunks {
            1 => dx,
            _ => lowering.scratch(TensorType::f32([chunks, results])),
        };
        lowering.push(kernel::Gradient { x, y, dz, dx: sums }.call(params, overrides, workgroups));
        if chunks > 1 {
            sum_rows(lowering, sums, dx, [chunks, results], 1.0);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let dz = inputs[0];
        let (x, y) = match inputs[1..] {
            [x, y] => (Some(x), Some(y)),
            [y] => (None, Some(y)),
            _ => (None, None),
        };
        let mut dx = Array::zeros(self.shape.clone());
        let all = axes(dz.shape(), [&self.shape, &self.other, dz.shape()]);
        each(&all, |[i, j, k]| {
            let [u, v] = [x.map(|x| x.data[i]), y.map(|y| y.data[j])].map(Option::unwrap_or_default);
            dx.data[i] += self.function.passed(self.input == 0, dz.data[k], u, v);
        });
        vec![dx]
    }
}

/// The grid of a gradient without dz, its third tensor.
fn without_dz(grid: &Grid<3>) -> Grid<2> {
    let Grid { extents, last, width, .. } = *grid;
    let [x, y, _] = grid.strides;
    Grid { extents, strides: [x, y], last, steps: [grid.steps[0], grid.steps[1]], width }
}

/// Shapes of inputs: equal ones, and those whose axes are repeated.
const SHAPES: [[&[usize]; 2]; 14] = [
    [&[1], &[1]],
    [&[3, 5], &[3, 5]],
    [&[257], &[257]],
    [&[2, 3, 5, 7], &[2, 1, 1, 7]],
    [&[2, 1, 1, 17], &[2, 9, 8, 17]],
    [&[2, 3, 5, 7], &[2, 3, 5, 1]],
    [&[2, 1, 5, 3], &[2, 3, 1, 3]],
    [&[3, 4, 1], &[3, 1, 5]],
    [&[4, 1], &[4, 33]],
    [&[2, 3, 5, 7], &[1, 1, 1, 7]],
    [&[2, 3, 5, 7], &[1, 1, 1, 1]],
    [&[1, 3, 1, 4], &[2, 1, 5, 1]],
    [&[2, 2, 1, 3, 2], &[2, 1, 4, 1, 2]],
    [&[2, 1500], &[1, 1500]],
];

pub(crate) fn cases() -> Vec<Case> {
    let functions = [
        Binary::Linear { a: 0.75, b: -2.0 },
        Binary::Linear { a: 1.0, b: 1.0 },
        Binary::Multiply,
        Binary::Maximum,
        Binary::Minimum,
        Binary::Prelu,
    ];
    let mut cases = Vec::new();
    for function in functions {
        for [x, y] in SHAPES {
            let inputs = vec![Array::random(x, 1), Array::random(y, 2)];
            cases.push(Case::new(format!("binary {function:?} {x:?} {y:?}"), function, inputs).differentiable(&[0, 1]));
        }
    }
    // A sum in chunks.
    let inputs = vec![Array::random([2, 40, 30, 3], 1), Array::random([2, 1, 1, 3], 2)];
    cases.push(Case::new("binary Multiply in chunks", Binary::Multiply, inputs).differentiable(&[0, 1]));
    // Equal values.
    let ties = |seed| {
        let mut values = Array::random_below([257], DType::U32, 3, seed);
        values.ty.dtype = DType::F32;
        values
    };
    for function in [Binary::Maximum, Binary::Minimum, Binary::Prelu] {
        for input in [0, 1] {
            let shape = Shape::from([257]);
            let op = BinaryGradient { function, input, shape: shape.clone(), other: shape };
            let mut inputs = vec![Array::random([257], 3), ties(4), ties(5)];
            inputs[1..].iter_mut().for_each(|values| values.data.iter_mut().for_each(|v| *v -= 1.0));
            cases.push(Case::new(format!("binary_gradient {function:?} {input} of equal values"), op, inputs));
        }
    }
    cases
}
