//! `y = x rounded to a 16-bit float`.

use kiln_graph::{
    Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, Tensor, TensorType, Window, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::to_f16 as kernel;

/// Rounds to 16-bit floats: to nearest, ties to even, to infinity from 65,520 on: `f32[…] -> f16[…]`. Its gradient is
/// that of the identity, in f32.
#[derive(Clone, Copy, Debug)]
pub struct ToF16;

/// Elements per workgroup.
const ELEMENTS: u32 = 512;

/// A tensor in f32: in a scratch tensor if it is in f16, for kernels that read f32 only.
pub(crate) fn in_f32(lowering: &mut Lowering, x: Tensor) -> Tensor {
    if lowering.ty(x).dtype != DType::F16 {
        return x;
    }
    let wide = lowering.scratch(TensorType::f32(lowering.shape(x).clone()));
    let count = lowering.shape(x).elements();
    for Window { units, parts: [narrow, wide] } in lowering.windows(count, [(x, 1), (wide, 1)]) {
        let params = kernel::Params { count: units.len() as u32 };
        lowering.push(kernel::Widen { narrow, wide }.call(params, linear_workgroups(units.len(), ELEMENTS)));
    }
    wide
}

/// A gradient in the type of an operand of the product that it is the gradient of.
///
/// # Errors
/// If it is not in f32.
pub(crate) fn as_operand(gradient: &mut Gradient, dy: Tensor, operand: Tensor) -> Result<Tensor> {
    match gradient.ty(operand).dtype {
        DType::F16 => gradient.add(ToF16, &[dy]),
        _ => Ok(dy),
    }
}

/// Whether both operands of a product are in f32, or both in f16.
pub(crate) fn are_operands(a: &TensorType, b: &TensorType) -> bool {
    matches!((a.dtype, b.dtype), (DType::F32, DType::F32) | (DType::F16, DType::F16))
}

impl Op for ToF16 {
    fn name(&self) -> &'static str {
        "to_f16"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 => Ok(vec![TensorType::new(x.shape.clone(), DType::F16)]),
            _ => Err(Error::inputs(self.name(), "one f32 tensor", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, halves) = (lowering.inputs()[0], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let params = kernel::Params { count: count as u32 };
        lowering.push(kernel::Forward { x, halves }.call(params, linear_workgroups(count, ELEMENTS)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            gradient.set(0, dy);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        vec![inputs[0].to_f16()]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let random = |count: usize| Array::random([count], 1);
    // Every exponent of f16 and those below: the smallest normal number, subnormal numbers, and underflow.
    let mut scaled = random(257);
    scaled.data.iter_mut().zip((-27..=15).cycle()).for_each(|(v, exponent)| *v *= f64::from(exponent).exp2());
    // The middles between two 16-bit floats, of which the even one is right.
    let middles = (0..257).map(|i| f64::from(2049 + 2 * i) * f64::from(i % 39 - 34).exp2()).collect();
    [random(1), random(2), random(3), random(257), scaled, Array::f32([257], middles)]
        .into_iter()
        .enumerate()
        .map(|(i, x)| Case::new(format!("to_f16 {i} {}", x.shape()), ToF16, vec![x]))
        .collect()
}

/// A case of a product with its operands, the first two inputs, in f16.
pub(crate) fn in_f16(mut case: Case) -> Case {
    case.name.push_str(" in f16");
    case.inputs.iter_mut().take(2).for_each(|operand| *operand = operand.to_f16());
    case.differentiable.clear();
    case
}
