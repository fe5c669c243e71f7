//! `y[n] = sum over e of x[n, e]`, or the mean: one value for each sample of a batch.

use kiln_graph::{
    Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Shape, Step, TensorType, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::per_sample as kernel;

/// The minimum number of elements of a row for which a workgroup computes the sum instead of a single invocation.
const WIDE: usize = 64;

/// One value for each sample, from all of its elements: `[N, …] -> [N]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerSample {
    /// The sum of the elements.
    Sum,
    /// The mean of the elements.
    Mean,
}

/// `dx[n, e] = dy[n]`, divided by the number of elements for a mean: `[N] -> [N, …]`.
#[derive(Clone, Debug)]
pub struct PerSampleGradient {
    /// Which of the two.
    pub of: PerSample,
    /// The shape of what was summed: `[N, …]`.
    pub shape: Shape,
}

impl PerSample {
    fn params(self, [rows, elements]: [usize; 2]) -> kernel::Params {
        kernel::Params { rows: rows as u32, elements: elements as u32, scale: self.scale(elements) as f32 }
    }

    fn scale(self, elements: usize) -> f64 {
        match self {
            PerSample::Sum => 1.0,
            PerSample::Mean => 1.0 / elements as f64,
        }
    }
}

/// Rows and elements of a row.
fn rows(shape: &Shape) -> Option<[usize; 2]> {
    let elements = shape.sample().elements();
    shape.first().filter(|_| elements > 0).map(|&rows| [rows, elements])
}

impl Op for PerSample {
    fn name(&self) -> &'static str {
        "per_sample"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 => rows(&x.shape),
            _ => None,
        }
        .map(|[rows, _]| vec![TensorType::f32([rows])])
        .ok_or_else(|| Error::inputs(self.name(), "f32 [N, …] with at least one element per sample", inputs))
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let sizes @ [rows, elements] = rows(lowering.shape(x)).unwrap_or_default();
        let params = self.params(sizes);
        lowering.push(if elements < WIDE {
            kernel::Narrow { x, y }.call(params, linear_workgroups(rows, 256))
        } else {
            kernel::Wide { x, y }.call(params, linear_workgroups(rows, 1))
        });
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let shape = gradient.shape(gradient.inputs()[0]).clone();
            let dx = gradient.add(PerSampleGradient { of: *self, shape }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, elements] = rows(inputs[0].shape()).unwrap_or_default();
        let mut y = Array::zeros([rows]);
        for (i, x) in inputs[0].data.iter().enumerate() {
            y.data[i / elements] += x;
        }
        y.data.iter_mut().for_each(|y| *y *= self.scale(elements));
        vec![y]
    }
}

impl Op for PerSampleGradient {
    fn name(&self) -> &'static str {
        "per_sample_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [dy] if rows(&self.shape).is_some_and(|[rows, _]| *dy == TensorType::f32([rows])) => {
                Ok(vec![TensorType::f32(self.shape.clone())])
            }
            _ => Err(Error::inputs(self.name(), format!("one f32 value for each sample of {}", self.shape), inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (dy, dx) = (lowering.inputs()[0], lowering.outputs()[0]);
        let sizes @ [rows, elements] = rows(lowering.shape(dx)).unwrap_or_default();
        let workgroups = linear_workgroups(rows * elements, 256);
        lowering.push(kernel::Gradient { dy, dx }.call(self.of.params(sizes), workgroups));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(arriving) = gradient.output_gradient(0) {
            let ddy = gradient.add(self.of, &[arriving])?;
            gradient.set(0, ddy);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, elements] = rows(&self.shape).unwrap_or_default();
        let dx = (0..rows * elements).map(|i| inputs[0].data[i / elements] * self.of.scale(elements)).collect();
        vec![Array::f32(self.shape.clone(), dx)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for of in [PerSample::Sum, PerSample::Mean] {
        for dims in [vec![3], vec![1, 1], vec![257, 3], vec![3, 5, 2], vec![2, 7, 10, 3], vec![1, 5000]] {
            let (x, shape) = (Array::random(dims.clone(), 1), Shape::from(dims.clone()));
            let dy = Array::random([dims[0]], 2);
            cases.push(Case::new(format!("per_sample {of:?} {dims:?}"), of, vec![x]).differentiable(&[0]));
            let op = PerSampleGradient { of, shape };
            cases.push(Case::new(format!("per_sample_gradient {of:?} {dims:?}"), op, vec![dy]).differentiable(&[0]));
        }
    }
    cases
}
