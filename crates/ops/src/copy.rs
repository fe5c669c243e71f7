//! `y = x`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::copy as kernel;

/// Copies to another tensor: `[…] -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct Copy;

impl Op for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "one f32 tensor", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let form = lowering.form([count]);
        let params = kernel::Params { count: form.units(count) as u32 };
        lowering.push(kernel::Forward { x, y }.call(form, params, linear_workgroups(form.units(count), 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            gradient.set(0, dy);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        vec![inputs[0].clone()]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |count: usize| Case::new(format!("copy [{count}]"), Copy, vec![Array::random([count], 1)]).differentiable(&[0]);
    [1, 3, 257, 1028].map(case).into()
}
