//! `y = scale x + offset`, elementwise.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::rescale as kernel;

/// `y = scale x + offset`: `[…] -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct Rescale {
    /// The factor.
    pub scale: f32,
    /// The offset.
    pub offset: f32,
}

impl Op for Rescale {
    fn name(&self) -> &'static str {
        "rescale"
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
        let params = kernel::Params { count: count as u32, scale: self.scale, offset: self.offset };
        lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(Rescale { scale: self.scale, offset: 0.0 }, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (scale, offset) = (f64::from(self.scale), f64::from(self.offset));
        vec![Array::f32(inputs[0].shape().clone(), inputs[0].data.iter().map(|x| scale * x + offset).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |n: usize| {
        let op = Rescale { scale: -0.75, offset: 2.0 };
        Case::new(format!("rescale [{n}]"), op, vec![Array::random([n], 1)]).differentiable(&[0])
    };
    [1, 3, 257].map(case).into()
}
