//! `z = a x + b y`, elementwise.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::scale_add as kernel;

/// `z = a x + b y`: `([…], […]) -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct ScaleAdd {
    /// The factor of the first tensor.
    pub a: f32,
    /// The factor of the second tensor.
    pub b: f32,
}

impl Op for ScaleAdd {
    fn name(&self) -> &'static str {
        "scale_add"
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
        let params = kernel::Params { count: form.units(count) as u32, a: self.a, b: self.b };
        lowering.push(kernel::Forward { x, y, z }.call(form, params, linear_workgroups(form.units(count), 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dz) = gradient.output_gradient(0) else { return Ok(()) };
        for (input, factor) in [self.a, self.b].into_iter().enumerate() {
            if gradient.wants(input) {
                let scaled = match factor {
                    1.0 => dz,
                    _ => gradient.add(ScaleAdd { a: factor, b: 0.0 }, &[dz, dz])?,
                };
                gradient.set(input, scaled);
            }
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (a, b) = (f64::from(self.a), f64::from(self.b));
        let z = inputs[0].data.iter().zip(&inputs[1].data).map(|(x, y)| a * x + b * y).collect();
        vec![Array::f32(inputs[0].shape().clone(), z)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |n: usize| {
        let inputs = vec![Array::random([n], 1), Array::random([n], 2)];
        Case::new(format!("scale_add [{n}]"), ScaleAdd { a: 0.75, b: -2.0 }, inputs).differentiable(&[0, 1])
    };
    [1, 3, 257, 1028].map(case).into()
}
