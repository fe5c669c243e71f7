//! `y = min(x, max_value)` for `x > threshold`, else `negative_slope (x - threshold)`, elementwise.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::relu as kernel;

/// The rectifier with all of Keras' arguments: `[…] -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct Relu {
    /// The upper bound of `y`; infinite for none.
    pub max_value: f32,
    /// The threshold above which `x` passes.
    pub threshold: f32,
    /// The slope below the threshold. If it is 0, so is `y`, even for infinite `x`.
    pub negative_slope: f32,
}

/// `dx = dy y'(x)`, where `y'` is 0 from `max_value` on: `(x […], dy […]) -> […]`. If `y'` is 0, so is `dx`, even for
/// infinite `dy`.
#[derive(Clone, Copy, Debug)]
pub struct ReluGradient {
    /// The rectifier.
    pub relu: Relu,
}

impl Relu {
    fn params(&self, count: usize) -> kernel::Params {
        let Relu { max_value, threshold, negative_slope } = *self;
        kernel::Params { count: count as u32, max_value, threshold, negative_slope }
    }
}

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu"
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
        let form = lowering.form([lowering.shape(x).elements()]);
        let count = form.units(lowering.shape(x).elements());
        lowering.push(kernel::Forward { x, y }.call(form, self.params(count), linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let x = gradient.inputs()[0];
            let dx = gradient.add(ReluGradient { relu: *self }, &[x, dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [most, threshold, slope] = [self.max_value, self.threshold, self.negative_slope].map(f64::from);
        let value = |&x: &f64| match x {
            _ if x.is_nan() => x,
            _ if x > threshold => x.min(most),
            _ if slope == 0.0 => 0.0,
            _ => slope * (x - threshold),
        };
        vec![Array::f32(inputs[0].shape().clone(), inputs[0].data.iter().map(value).collect())]
    }
}

impl Op for ReluGradient {
    fn name(&self) -> &'static str {
        "relu_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x, dy] if x == dy && x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "two f32 tensors of one shape", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, dy, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let form = lowering.form([lowering.shape(x).elements()]);
        let count = form.units(lowering.shape(x).elements());
        lowering.push(kernel::Gradient { x, dy, dx }.call(
            form,
            self.relu.params(count),
            linear_workgroups(count, 256),
        ));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Relu { max_value, threshold, negative_slope } = self.relu;
        let [most, threshold, below] = [max_value, threshold, negative_slope].map(f64::from);
        let slope =
            |x: f64| if x <= threshold { below } else { f64::from(u8::from(x < most || most == f64::INFINITY)) };
        let passed = |(&x, &dy): (&f64, &f64)| match slope(x) {
            _ if x.is_nan() || dy.is_nan() => f64::NAN,
            0.0 => 0.0,
            slope => dy * slope,
        };
        let dx = inputs[0].data.iter().zip(&inputs[1].data).map(passed).collect();
        vec![Array::f32(inputs[0].shape().clone(), dx)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [max_value, threshold, negative_slope] in
        [[f32::INFINITY, 0.0, 0.0], [f32::INFINITY, 0.0, 0.3], [0.5, 0.0, 0.0], [0.75, 0.25, 0.125]]
    {
        let op = Relu { max_value, threshold, negative_slope };
        for count in [1, 3, 257, 260] {
            let name = format!("relu {max_value:e} {threshold} {negative_slope} [{count}]");
            cases.push(Case::new(name, op, vec![Array::random([count], 7)]).differentiable(&[0]));
            // Multiples of 1/8, including the threshold and the maximum.
            let mut edges = Array::random_below([count], DType::U32, 17, 5);
            edges.ty.dtype = DType::F32;
            edges.data.iter_mut().for_each(|x| *x = *x / 8.0 - 1.0);
            let name = format!("relu_gradient edges {max_value:e} {threshold} {negative_slope} [{count}]");
            cases.push(Case::new(name, ReluGradient { relu: op }, vec![edges, Array::random([count], 2)]));
        }
    }
    cases
}
