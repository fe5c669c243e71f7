//! `y[n, c] = exp(x[n, c]) / sum over j of exp(x[n, j])`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::softmax as kernel;

/// Probabilities along the last axis: `[…, C] -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct Softmax;

/// `dx = y (dy - sum over c of dy y)`: `(y […, C], dy […, C]) -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxGradient;

fn params(lowering: &Lowering) -> (kernel::Params, [u32; 3]) {
    let shape = lowering.shape(lowering.outputs()[0]);
    let classes = shape.last().copied().unwrap_or(1).max(1);
    let rows = shape.elements() / classes;
    (kernel::Params { rows: rows as u32, classes: classes as u32 }, linear_workgroups(rows, 256))
}

/// The rows of an array along its last axis.
fn rows(array: &Array) -> std::slice::Chunks<'_, f64> {
    array.data.chunks(array.shape().last().copied().unwrap_or(1).max(1))
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 && !x.shape.is_empty() => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "f32 […, C]", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let (params, workgroups) = params(lowering);
        lowering.push(kernel::Forward { x, y }.call(params, workgroups));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let y = gradient.outputs()[0];
            let dx = gradient.add(SoftmaxGradient, &[y, dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let y = rows(inputs[0]).flat_map(|row| {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = row.iter().map(|x| (x - largest).exp()).sum();
            row.iter().map(move |x| (x - largest).exp() / total)
        });
        vec![Array::f32(inputs[0].shape().clone(), y.collect())]
    }
}

impl Op for SoftmaxGradient {
    fn name(&self) -> &'static str {
        "softmax_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [y, dy] if y == dy && y.dtype == DType::F32 => Ok(vec![y.clone()]),
            _ => Err(Error::inputs(self.name(), "f32 (y […, C], dy […, C])", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (probabilities, dy, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let (params, workgroups) = params(lowering);
        lowering.push(kernel::Gradient { probabilities, dy, dx }.call(params, workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let dx = rows(inputs[0]).zip(rows(inputs[1])).flat_map(|(y, dy)| {
            let product: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
            y.iter().zip(dy).map(move |(y, dy)| y * (dy - product))
        });
        vec![Array::f32(inputs[0].shape().clone(), dx.collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |dims: [usize; 2]| {
        let mut x = Array::random(dims, 1);
        x.data.iter_mut().for_each(|v| *v *= 8.0);
        Case::new(format!("softmax {dims:?}"), Softmax, vec![x]).differentiable(&[0])
    };
    [[1, 1], [3, 10], [257, 3], [2, 1000]].map(case).into()
}
