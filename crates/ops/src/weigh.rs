//! `y[n] = weights[n] x[n]`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::weigh as kernel;

/// Multiplies each value by its weight: `(x […], weights […]) -> […]`. Has no gradient with respect to the weights.
#[derive(Clone, Copy, Debug)]
pub struct Weigh;

impl Op for Weigh {
    fn name(&self) -> &'static str {
        "weigh"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, weights] if x == weights && x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "two f32 tensors of one shape", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, weights, y) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let params = kernel::Params { count: count as u32 };
        lowering.push(kernel::Forward { x, weights, y }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if gradient.wants(1) {
            return Err(Error::NotDifferentiable { op: self.name(), input: 1 });
        }
        if let Some(dy) = gradient.output_gradient(0) {
            let weights = gradient.inputs()[1];
            let dx = gradient.add(Weigh, &[dy, weights])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let y = inputs[0].data.iter().zip(&inputs[1].data).map(|(x, weight)| weight * x).collect();
        vec![Array::f32(inputs[0].shape().clone(), y)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |n: usize| {
        let inputs = vec![Array::random([n], 1), Array::random([n], 2)];
        Case::new(format!("weigh [{n}]"), Weigh, inputs).differentiable(&[0])
    };
    [1, 3, 257].map(case).into()
}
