//! `z = x / y`, element by element.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::divide as kernel;
use crate::{Multiply, Rescale};

/// `z = x / y`: `(x […], y […]) -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct Divide;

impl Op for Divide {
    fn name(&self) -> &'static str {
        "divide"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, y] if x == y && x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "two f32 tensors of one shape", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y, z) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let params = kernel::Params { count: count as u32 };
        lowering.push(kernel::Forward { x, y, z }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    /// `dx = dz / y`, `dy = -(dz / y) z`.
    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dz) = gradient.output_gradient(0) else { return Ok(()) };
        let (y, z) = (gradient.inputs()[1], gradient.outputs()[0]);
        let dx = gradient.add(Divide, &[dz, y])?;
        if gradient.wants(0) {
            gradient.set(0, dx);
        }
        if gradient.wants(1) {
            let product = gradient.add(Multiply, &[dx, z])?;
            let dy = gradient.add(Rescale { scale: -1.0, offset: 0.0 }, &[product])?;
            gradient.set(1, dy);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let z = inputs[0].data.iter().zip(&inputs[1].data).map(|(x, y)| x / y).collect();
        vec![Array::f32(inputs[0].shape().clone(), z)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |n: usize| {
        let (x, mut y) = (Array::random([n], 1), Array::random([n], 2));
        y.data.iter_mut().for_each(|y| *y += 0.25 * y.signum());
        Case::new(format!("divide [{n}]"), Divide, vec![x, y]).differentiable(&[0, 1])
    };
    [1, 3, 257].map(case).into()
}
