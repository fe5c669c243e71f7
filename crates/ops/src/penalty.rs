//! `y = l1 sum |w| + l2 sum w²`.

use kiln_graph::{
    Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, Window, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::penalty as kernel;
use crate::sum::sum_rows;

/// The penalty of a regularizer on one variable: `[…] -> [1]`.
#[derive(Clone, Copy, Debug)]
pub struct Penalty {
    /// The factor of the sum of the absolute values.
    pub l1: f32,
    /// The factor of the sum of the squares.
    pub l2: f32,
}

/// `dw = dy (l1 sign(w) + 2 l2 w)`, with `sign(0) = 0`: `(w […], dy [1]) -> […]`.
#[derive(Clone, Copy, Debug)]
pub struct PenaltyGradient {
    /// The penalty.
    pub penalty: Penalty,
}

impl Penalty {
    fn params(&self, count: usize) -> kernel::Params {
        kernel::Params { count: count as u32, l1: self.l1, l2: self.l2 }
    }
}

impl Op for Penalty {
    fn name(&self) -> &'static str {
        "penalty"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [w] if w.dtype == DType::F32 => Ok(vec![TensorType::f32([1])]),
            _ => Err(Error::inputs(self.name(), "one f32 tensor", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (w, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let count = lowering.shape(w).elements();
        let (block, lanes) = (kernel::BLOCK as usize, kernel::LANES as usize);
        let blocks = count.div_ceil(block);
        let sums = lowering.scratch(TensorType::f32([blocks * lanes]));
        for Window { parts: [w, y], .. } in lowering.windows(blocks, [(w, block), (sums, lanes)]) {
            let count = lowering.shape(w).elements();
            let workgroups = linear_workgroups(count, kernel::BLOCK);
            lowering.push(kernel::Forward { w, y }.call(self.params(count), workgroups));
        }
        sum_rows(lowering, sums, y, [blocks * lanes, 1], 1.0);
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let w = gradient.inputs()[0];
            let dw = gradient.add(PenaltyGradient { penalty: *self }, &[w, dy])?;
            gradient.set(0, dw);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (l1, l2) = (f64::from(self.l1), f64::from(self.l2));
        vec![Array::f32([1], vec![inputs[0].data.iter().map(|w| l1 * w.abs() + l2 * w * w).sum()])]
    }
}

impl Op for PenaltyGradient {
    fn name(&self) -> &'static str {
        "penalty_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [w, dy] if w.dtype == DType::F32 && *dy == TensorType::f32([1]) => Ok(vec![w.clone()]),
            _ => Err(Error::inputs(self.name(), "f32 (w […], dy [1])", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (w, dy, dw) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let count = lowering.shape(w).elements();
        lowering.push(kernel::Gradient { w, dy, dw }.call(self.penalty.params(count), linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (l1, l2, dy) = (f64::from(self.penalty.l1), f64::from(self.penalty.l2), inputs[1].data[0]);
        let sign = |w: f64| if w == 0.0 { 0.0 } else { w.signum() };
        let dw = inputs[0].data.iter().map(|&w| dy * (l1 * sign(w) + 2.0 * l2 * w)).collect();
        vec![Array::f32(inputs[0].shape().clone(), dw)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (l1, l2) in [(0.01, 0.0), (0.0, 0.01), (0.5, 0.25)] {
        let penalty = Penalty { l1, l2 };
        for dims in [[1, 1], [3, 1], [257, 3], [1000, 37]] {
            let name = format!("penalty {l1} {l2} {dims:?}");
            cases.push(Case::new(name, penalty, vec![Array::random(dims, 1)]).differentiable(&[0]));
        }
        // Few different values, including zero.
        let mut zeros = Array::random_below([257], DType::U32, 3, 5);
        zeros.ty.dtype = DType::F32;
        zeros.data.iter_mut().for_each(|w| *w -= 1.0);
        let inputs = vec![zeros, Array::random([1], 2)];
        cases.push(Case::new(format!("penalty_gradient zeros {l1} {l2}"), PenaltyGradient { penalty }, inputs));
    }
    cases
}
