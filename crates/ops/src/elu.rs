//! `y = x` for `x > 0`, else `alpha (exp(x) - 1)`, elementwise.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::elu as kernel;

/// The exponential linear unit (Clevert et al. 2016): `[…] -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct Elu {
    /// `y` tends to `-alpha` for negative `x`; 0 or more.
    pub alpha: f32,
}

/// `dx = dy` for `y > 0`, else `dy (y + alpha)`: `(y […], dy […]) -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct EluGradient {
    /// `y` tends to `-alpha` for negative `x`; 0 or more.
    pub alpha: f32,
}

impl Op for Elu {
    fn name(&self) -> &'static str {
        "elu"
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
        let params = kernel::Params { count: count as u32, alpha: self.alpha };
        lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let y = gradient.outputs()[0];
            let dx = gradient.add(EluGradient { alpha: self.alpha }, &[y, dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let value = |&x: &f64| if x > 0.0 { x } else { f64::from(self.alpha) * x.exp_m1() };
        vec![Array::f32(inputs[0].shape().clone(), inputs[0].data.iter().map(value).collect())]
    }
}

impl Op for EluGradient {
    fn name(&self) -> &'static str {
        "elu_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [y, dy] if y == dy && y.dtype == DType::F32 => Ok(vec![y.clone()]),
            _ => Err(Error::inputs(self.name(), "two f32 tensors of one shape", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (result, dy, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let count = lowering.shape(result).elements();
        let params = kernel::Params { count: count as u32, alpha: self.alpha };
        lowering.push(kernel::Gradient { result, dy, dx }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let slope = |y: f64| if y > 0.0 { 1.0 } else { y + f64::from(self.alpha) };
        let dx = inputs[0].data.iter().zip(&inputs[1].data).map(|(&y, dy)| dy * slope(y)).collect();
        vec![Array::f32(inputs[0].shape().clone(), dx)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for alpha in [1.0, 0.3, 0.0] {
        for count in [1, 3, 257] {
            let mut x = Array::random([count], 7);
            x.data.iter_mut().for_each(|v| *v *= 4.0);
            cases.push(Case::new(format!("elu {alpha} [{count}]"), Elu { alpha }, vec![x]).differentiable(&[0]));
        }
    }
    cases
}
