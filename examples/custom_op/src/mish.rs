//! `y = x tanh(log(1 + exp(x)))`, element by element (Misra 2019).

use kiln::graph::{Array, DType, Error, Gradient, Lowering, Op, Result, Step, TensorType, linear_workgroups};

use crate::kernels::mish as kernel;

/// `y = x tanh(log(1 + exp(x)))`: `[…] -> […]`.
#[derive(Debug)]
pub struct Mish;

impl Op for Mish {
    fn name(&self) -> &'static str {
        "mish"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "one f32 tensor", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let params = kernel::Params { count: count as u32 };
        lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(MishGradient, &[gradient.inputs()[0], dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let y = inputs[0].data.iter().map(|&x| x * x.exp().ln_1p().tanh());
        vec![Array::f32(inputs[0].shape().clone(), y.collect())]
    }
}

/// `dx = dy y'(x)`: `(x […], dy […]) -> […]`.
#[derive(Debug)]
struct MishGradient;

impl Op for MishGradient {
    fn name(&self) -> &'static str {
        "mish_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, dy] if x == dy && x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "two f32 tensors of one shape", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, dy, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let params = kernel::Params { count: count as u32 };
        lowering.push(kernel::Gradient { x, dy, dx }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let slope = |x: f64| {
            let t = x.exp().ln_1p().tanh();
            t + x * (1.0 - t * t) / (1.0 + (-x).exp())
        };
        let dx = inputs[0].data.iter().zip(&inputs[1].data).map(|(&x, dy)| dy * slope(x));
        vec![Array::f32(inputs[0].shape().clone(), dx.collect())]
    }
}
