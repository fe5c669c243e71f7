//! `z = x y`, element by element.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::multiply as kernel;

/// `z = x y`: `(x […], y […]) -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct Multiply;

impl Op for Multiply {
    fn name(&self) -> &'static str {
        "multiply"
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
        let form = lowering.form([count]);
        let params = kernel::Params { count: form.units(count) as u32 };
        lowering.push(kernel::Forward { x, y, z }.call(form, params, linear_workgroups(form.units(count), 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dz) = gradient.output_gradient(0) else { return Ok(()) };
        for (input, other) in [(0, 1), (1, 0)] {
            if gradient.wants(input) {
                let product = gradient.add(Multiply, &[dz, gradient.inputs()[other]])?;
                gradient.set(input, product);
            }
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let z = inputs[0].data.iter().zip(&inputs[1].data).map(|(x, y)| x * y).collect();
        vec![Array::f32(inputs[0].shape().clone(), z)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |n: usize| {
        let inputs = vec![Array::random([n], 1), Array::random([n], 2)];
        Case::new(format!("multiply [{n}]"), Multiply, inputs).differentiable(&[0, 1])
    };
    [1, 3, 257, 1028].map(case).into()
}
