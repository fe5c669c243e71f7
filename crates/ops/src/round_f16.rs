//! `y = x rounded to a 16-bit float`, stored as a 32-bit float: the factors of products in mixed precision.

use kiln_graph::{
    Array, DType, Error, Lowering, Op, Pieces, Precision, Result, Step, Tensor, TensorType, Window, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::round_f16 as kernel;

/// The smallest magnitude that rounds to infinity.
const OVERFLOW: f64 = 65_520.0;
/// The smallest normal number: 2^-14.
const NORMAL: f64 = 1.0 / 16_384.0;

/// Rounds to 16-bit floats (IEEE binary16), stored as 32-bit floats: to nearest, ties to even, with subnormal numbers, to
/// infinity from 65,520 on: `[…] -> […]`. This is the rounding of factors in [`Precision::Mixed`].
#[derive(Clone, Copy, Debug)]
pub struct RoundF16;

/// The factors of a product in the precision of its node: rounded in scratch tensors in [`Precision::Mixed`], else themselves.
pub(crate) fn rounded(lowering: &mut Lowering, factors: [Tensor; 2]) -> [Tensor; 2] {
    match lowering.precision() {
        Precision::Float32 => factors,
        Precision::Mixed => factors.map(|factor| {
            let y = lowering.scratch(TensorType::f32(lowering.shape(factor).clone()));
            push(lowering, factor, y);
            y
        }),
    }
}

/// Pushes the calls that round `x` to `y`.
fn push(lowering: &mut Lowering, x: Tensor, y: Tensor) {
    let count = lowering.shape(x).elements();
    for Window { units, parts: [x, y] } in lowering.windows(count, [(x, 1), (y, 1)]) {
        let params = kernel::Params { count: units.len() as u32 };
        lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(units.len(), 256)));
    }
}

/// The nearest 16-bit float.
fn nearest(value: f64) -> f64 {
    let magnitude = value.abs();
    if magnitude.is_nan() {
        return f64::NAN;
    }
    let rounded = if magnitude >= OVERFLOW {
        f64::INFINITY
    } else {
        // The distance between neighbours: 11 significant bits, and 2^-24 at least.
        let exponent = (magnitude.max(NORMAL).to_bits() >> 52) as i32 - 1023;
        let distance = f64::from(exponent - 10).exp2();
        (magnitude / distance).round_ties_even() * distance
    };
    rounded.copysign(value)
}

impl Op for RoundF16 {
    fn name(&self) -> &'static str {
        "round_f16"
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
        push(lowering, x, y);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        vec![Array::f32(inputs[0].shape().clone(), inputs[0].data.iter().map(|&value| nearest(value)).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    // Every exponent of f16 and those below: the smallest normal number, subnormal numbers, and underflow.
    let mut scaled = Array::random([257], 1);
    scaled.data.iter_mut().zip((-27..=15).cycle()).for_each(|(v, exponent)| *v *= f64::from(exponent).exp2());
    // The middles between two 16-bit floats, of which the even one is right.
    let middles = (0..257).map(|i| f64::from(2049 + 2 * i) * f64::from(i % 39 - 34).exp2()).collect();
    [Array::random([1], 1), Array::random([3], 1), scaled, Array::f32([257], middles)]
        .into_iter()
        .enumerate()
        .map(|(i, x)| Case::new(format!("round_f16 {i} {}", x.shape()), RoundF16, vec![x]))
        .collect()
}
