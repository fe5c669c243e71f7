//! `y[k] = scale * sum over r of x[r, k]`.

use kiln_graph::{
    Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Shape, Step, Tensor, TensorType, Window,
    linear_workgroups,
};

use crate::case::Case;
use crate::kernels::sum as kernel;
use crate::scale_add::ScaleAdd;
use crate::tiles::spread;

/// The rows per chunk, which one invocation sums to a row of the next pass.
const CHUNK: usize = 256;

/// The minimum number of columns for which a processor's vectors hold adjacent columns, and not chunks.
const ADJACENT: usize = 4;
/// The minimum number of columns that occupies a workgroup of the GPU kernel.
const FEW_COLUMNS: usize = 8;
/// The number of columns that occupies a GPU with one invocation each.
const MANY_COLUMNS: usize = 1 << 16;

/// The sum of all elements times `scale`: `[…] -> [1]`.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The factor: 1 for a sum, 1/count for a mean.
    pub scale: f32,
}

/// The sum over all axes but the last: `[…, K] -> [K]`. The gradient of a bias.
#[derive(Clone, Copy, Debug)]
pub struct SumRows;

/// `dx[r, k] = scale * dy[k]`: `[K] -> shape`. A single value is broadcast to all elements.
#[derive(Clone, Debug)]
pub struct SumGradient {
    /// The factor.
    pub scale: f32,
    /// The shape of the summed tensor.
    pub shape: Shape,
}

/// Pushes the calls that sum the rows of `x` in a fixed order: a pass over chunks, repeated on their sums until one is
/// left.
pub(crate) fn sum_rows(lowering: &mut Lowering, x: Tensor, y: Tensor, [rows, columns]: [usize; 2], scale: f32) {
    let (mut x, mut rows) = (x, rows);
    while rows > CHUNK {
        let chunks = rows.div_ceil(CHUNK);
        let sums = lowering.scratch(TensorType::f32([chunks, columns]));
        for Window { units, parts: [x, sums] } in lowering.windows(chunks, [(x, CHUNK * columns), (sums, columns)]) {
            sum_chunks(lowering, x, sums, [rows.min(units.end * CHUNK) - units.start * CHUNK, columns], CHUNK, 1.0);
        }
        (x, rows) = (sums, chunks);
    }
    sum_chunks(lowering, x, y, [rows, columns], CHUNK, scale);
}

/// Pushes the call that sums each `chunk` rows of `x [rows, columns]` to a row of `y`, in a fixed order.
pub(crate) fn sum_chunks(
    lowering: &mut Lowering,
    x: Tensor,
    y: Tensor,
    [rows, columns]: [usize; 2],
    chunk: usize,
    scale: f32,
) {
    let chunks = rows.div_ceil(chunk);
    let count = chunks * columns;
    let gpu_kernels = lowering.limits().gpu_kernels;
    let tree = gpu_kernels && (FEW_COLUMNS..MANY_COLUMNS).contains(&columns);
    let adjacent = !gpu_kernels && columns >= ADJACENT;
    let tiles = |columns_each| spread(chunks, 1, columns, columns_each);
    let params =
        kernel::Params { rows: rows as u32, columns: columns as u32, chunk: chunk as u32, count: count as u32, scale };
    lowering.push(match (tree, adjacent) {
        (true, _) => kernel::Tree { x, y }.call(params, tiles(kernel::TREE_COLUMNS)),
        (_, true) => kernel::Adjacent { x, y }.call(params, tiles(kernel::ADJACENT_COLUMNS)),
        _ => kernel::Forward { x, y }.call(params, linear_workgroups(count, 256)),
    });
}

fn one_f32<'a>(op: &'static str, inputs: &'a [TensorType]) -> Result<&'a Shape> {
    match inputs {
        [x] if x.dtype == DType::F32 => Ok(&x.shape),
        _ => Err(Error::inputs(op, "one f32 tensor", inputs)),
    }
}

fn last(shape: &Shape) -> usize {
    shape.last().copied().unwrap_or(1).max(1)
}

fn reference(x: &Array, columns: usize, scale: f64) -> Array {
    let mut y = Array::zeros([columns]);
    for (at, &v) in x.data.iter().enumerate() {
        y.data[at % columns] += v;
    }
    y.data.iter_mut().for_each(|v| *v *= scale);
    y
}

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        one_f32(self.name(), inputs).map(|_| vec![TensorType::f32([1])])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let rows = lowering.shape(x).elements();
        sum_rows(lowering, x, y, [rows, 1], self.scale);
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let shape = gradient.shape(gradient.inputs()[0]).clone();
            let dx = gradient.add(SumGradient { scale: self.scale, shape }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        vec![reference(inputs[0], 1, f64::from(self.scale))]
    }
}

impl Op for SumRows {
    fn name(&self) -> &'static str {
        "sum_rows"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        one_f32(self.name(), inputs).map(|shape| vec![TensorType::f32([last(shape)])])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let columns = last(lowering.shape(x));
        let rows = lowering.shape(x).elements() / columns;
        sum_rows(lowering, x, y, [rows, columns], 1.0);
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let shape = gradient.shape(gradient.inputs()[0]).clone();
            let dx = gradient.add(SumGradient { scale: 1.0, shape }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        vec![reference(inputs[0], last(inputs[0].shape()), 1.0)]
    }
}

impl Op for SumGradient {
    fn name(&self) -> &'static str {
        "sum_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let columns = one_f32(self.name(), inputs)?.elements();
        if columns != 1 && columns != last(&self.shape) {
            return Err(Error::inputs(
                self.name(),
                format!("one value, or one for each column of {}", self.shape),
                inputs,
            ));
        }
        Ok(vec![TensorType::f32(self.shape.clone())])
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(Vec::new())
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let (count, columns) = (lowering.shape(dx).elements(), lowering.shape(dy).elements());
        let rows = (count / columns) as u32;
        let params = kernel::Params { rows, columns: columns as u32, chunk: 0, count: count as u32, scale: self.scale };
        lowering.push(kernel::Gradient { dy, dx }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(arriving) = gradient.output_gradient(0) else { return Ok(()) };
        let columns = gradient.shape(gradient.inputs()[0]).elements();
        let rows = gradient.reshape(arriving, [self.shape.elements() / columns, columns])?;
        let sum = gradient.add(SumRows, &[rows])?;
        let scaled = match self.scale {
            1.0 => sum,
            scale => gradient.add(ScaleAdd { a: scale, b: 0.0 }, &[sum, sum])?,
        };
        gradient.set(0, scaled);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let dy = &inputs[0].data;
        let dx = (0..self.shape.elements()).map(|i| f64::from(self.scale) * dy[i % dy.len()]).collect();
        vec![Array::f32(self.shape.clone(), dx)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dims in [[1, 1], [3, 5], [257, 3], [1000, 20]] {
        let x = || vec![Array::random(dims, 1)];
        cases.push(Case::new(format!("sum {dims:?}"), Sum { scale: 0.25 }, x()).differentiable(&[0]));
        cases.push(Case::new(format!("sum_rows {dims:?}"), SumRows, x()).differentiable(&[0]));
        for columns in [1, dims[1]] {
            let op = SumGradient { scale: 0.25, shape: Shape::from(dims) };
            let dy = vec![Array::random([columns], 2)];
            cases.push(Case::new(format!("sum_gradient [{columns}] {dims:?}"), op, dy).differentiable(&[0]));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln_graph::{Graph, Limits, Plan};

    use super::*;

    #[test]
    fn columns_of_a_large_kernels_gradient_fit_a_dispatch() {
        let mut graph = Graph::new();
        let [x, y] = ["x", "y"].map(|name| graph.buffer(name));
        let x = graph.persistent(TensorType::f32([2, 3 * 3 * 512 * 512]), x, 0);
        let sum = graph.add(SumRows, &[x]).unwrap();
        graph.place(sum, y, 0).unwrap();
        let plan = Plan::new(&graph, &Limits::WEBGPU).unwrap();
        assert_eq!(plan.calls.len(), 1);
    }
}
