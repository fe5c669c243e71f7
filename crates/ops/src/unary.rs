//! `y = f(x)`, element by element: the functions that formulas of losses and metrics are made of.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::unary as kernel;
use crate::nan::clamped;

/// `y = f(x)`: `[…] -> […]`. [`Rescale`](crate::Rescale) is `scale x + offset`, [`Activation`](crate::Activation) has the
/// activation functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `|x|`, with the slope 0 at 0.
    Abs,
    /// `min(max(x, low), high)`, with the slope 1 from `low` to `high` and 0 outside.
    Clip {
        /// The smallest result.
        low: f32,
        /// The largest result.
        high: f32,
    },
    /// `exp(x)`
    Exp,
    /// The natural logarithm: minus infinity at 0, which denormals count as, and NaN below.
    Log,
    /// `x^exponent`: NaN for a negative `x` unless the exponent is a whole number, and 1 where the exponent is 0.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// `√x`, with the slope infinity at 0.
    Sqrt,
    /// `x²`
    Square,
}

/// `dx = dy f'(x)`: `(x […], dy […]) -> […]`. Outside the range of a clip, `dx` is 0 even if `dy` is infinite.
#[derive(Clone, Copy, Debug)]
pub struct UnaryGradient(
    /// Which `f`.
    pub Unary,
);

impl Unary {
    fn overrides(self) -> kernel::Overrides {
        let function = match self {
            Unary::Abs => kernel::ABS,
            Unary::Clip { .. } => kernel::CLIP,
            Unary::Exp => kernel::EXP,
            Unary::Log => kernel::LOG,
            Unary::Power { .. } => kernel::POWER,
            Unary::Sqrt => kernel::SQRT,
            Unary::Square => kernel::SQUARE,
        };
        kernel::Overrides { function }
    }

    fn params(self, count: usize) -> kernel::Params {
        let exponent = if let Unary::Power { exponent } = self { exponent } else { 0.0 };
        let (low, high) = if let Unary::Clip { low, high } = self { (low, high) } else { (0.0, 0.0) };
        kernel::Params { count: count as u32, exponent, low, high }
    }

    fn value(self, x: f64) -> f64 {
        match self {
            _ if x.is_nan() => f64::NAN,
            Unary::Abs => x.abs(),
            Unary::Clip { low, high } => clamped(x, f64::from(low), f64::from(high)),
            Unary::Exp => x.exp(),
            Unary::Log => x.ln(),
            Unary::Power { exponent } => power(x, f64::from(exponent)),
            Unary::Sqrt => x.sqrt(),
            Unary::Square => x * x,
        }
    }

    fn passed(self, x: f64, dy: f64) -> f64 {
        match self {
            _ if x.is_nan() || dy.is_nan() => f64::NAN,
            Unary::Abs if x == 0.0 => dy * 0.0,
            Unary::Abs => dy * x.signum(),
            Unary::Clip { low, high } if (f64::from(low)..=f64::from(high)).contains(&x) => dy,
            Unary::Clip { .. } => 0.0,
            Unary::Exp => dy * x.exp(),
            Unary::Log => dy * (1.0 / x),
            Unary::Power { exponent: 0.0 } => dy * 0.0,
            Unary::Power { exponent } => dy * (f64::from(exponent) * power(x, f64::from(exponent) - 1.0)),
            Unary::Sqrt => dy * (0.5 / x.sqrt()),
            Unary::Square => dy * (2.0 * x),
        }
    }
}

/// Unlike `powf`, NaN for minus infinity too unless the exponent is a whole number.
fn power(x: f64, exponent: f64) -> f64 {
    if x < 0.0 && exponent.fract() != 0.0 { f64::NAN } else { x.powf(exponent) }
}

impl Op for Unary {
    fn name(&self) -> &'static str {
        match self {
            Unary::Abs => "abs",
            Unary::Clip { .. } => "clip",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::Power { .. } => "power",
            Unary::Sqrt => "sqrt",
            Unary::Square => "square",
        }
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
        let (params, overrides) = (self.params(count), self.overrides());
        lowering.push(kernel::Forward { x, y }.call(params, overrides, linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(UnaryGradient(*self), &[gradient.inputs()[0], dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let y = inputs[0].data.iter().map(|&x| self.value(x)).collect();
        vec![Array::f32(inputs[0].shape().clone(), y)]
    }
}

impl Op for UnaryGradient {
    fn name(&self) -> &'static str {
        "unary_gradient"
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
        let count = lowering.shape(x).elements();
        let (params, overrides) = (self.0.params(count), self.0.overrides());
        lowering.push(kernel::Gradient { x, dy, dx }.call(params, overrides, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let pairs = inputs[0].data.iter().zip(&inputs[1].data);
        let dx = pairs.map(|(&x, &dy)| self.0.passed(x, dy)).collect();
        vec![Array::f32(inputs[0].shape().clone(), dx)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let power = |exponent| Unary::Power { exponent };
    let of_any = [Unary::Abs, Unary::Clip { low: -0.5, high: 1.25 }, Unary::Exp, Unary::Square, power(0.0), power(3.0)];
    // Steep or not defined at 0 and below.
    let of_positive = [Unary::Log, Unary::Sqrt, power(2.5), power(0.5), power(1.0), power(-1.5)];
    let of_nonzero = [power(-1.0), power(-2.0)];
    let mut cases = Vec::new();
    let mut add = |op: Unary, place: fn(f64) -> f64| {
        for count in [1, 3, 257] {
            let mut x = Array::random([count], 7);
            x.data.iter_mut().for_each(|x| *x = place(*x));
            cases.push(Case::new(format!("{op:?} [{count}]"), op, vec![x]).differentiable(&[0]));
        }
    };
    of_any.into_iter().for_each(|op| add(op, |x| 2.0 * x));
    of_positive.into_iter().for_each(|op| add(op, |x| 0.25 + 2.0 * x.abs()));
    of_nonzero.into_iter().for_each(|op| add(op, |x| x + 0.25 * x.signum()));
    cases
}
