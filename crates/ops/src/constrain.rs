//! `w = w desired / (norm + 1e-7)` for each group of weights, or `w = max(w, 0)`.

use kiln_graph::{Array, Error, Lowering, Op, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::constrain as kernel;

/// Added to a norm by which is divided, as in Keras.
const EPSILON: f64 = 1e-7;

/// Constrains the Euclidean norms of weights `[outer, terms, inner]` along the middle axis, as Keras' `MinMaxNorm`:
/// multiplies each group by `(rate clamp(norm, minimum, maximum) + (1 - rate) norm) / (norm + 1e-7)`. Updates the weights.
#[derive(Clone, Copy, Debug)]
pub struct ConstrainNorm {
    /// The extents of the weights.
    pub extents: [usize; 3],
    /// The smallest norm.
    pub minimum: f32,
    /// The largest norm.
    pub maximum: f32,
    /// The share of the correction that is applied.
    pub rate: f32,
}

/// Replaces negative weights by 0, as Keras' `NonNeg`. Updates the weights.
#[derive(Clone, Copy, Debug)]
pub struct ConstrainNonNegative {
    /// The number of weights.
    pub count: usize,
}

fn infer(op: &dyn Op, inputs: &[TensorType], weights: TensorType) -> Result<Vec<TensorType>> {
    match inputs {
        [] => Ok(vec![weights]),
        _ => Err(Error::inputs(op.name(), "no inputs", inputs)),
    }
}

impl Op for ConstrainNorm {
    fn name(&self) -> &'static str {
        "constrain_norm"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        infer(self, inputs, TensorType::f32(self.extents))
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let weights = lowering.outputs()[0];
        let [outer, terms, inner] = self.extents;
        let ConstrainNorm { minimum, maximum, rate, .. } = *self;
        let [groups, terms, inner] = [outer * inner, terms, inner].map(|n| n as u32);
        let params = kernel::Params { groups, terms, inner, minimum, maximum, rate };
        lowering.push(kernel::Norm { weights }.call(params, linear_workgroups(groups as usize, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [outer, terms, inner] = self.extents;
        let [minimum, maximum, rate] = [self.minimum, self.maximum, self.rate].map(f64::from);
        let mut weights = inputs[0].clone();
        for group in 0..outer * inner {
            let place = |term: usize| (group / inner * terms + term) * inner + group % inner;
            let norm = (0..terms).map(|term| weights.data[place(term)].powi(2)).sum::<f64>().sqrt();
            let bounded = if norm.is_nan() { norm } else { norm.clamp(minimum, maximum) };
            let desired = if rate == 1.0 { bounded } else { rate * bounded + (1.0 - rate) * norm };
            (0..terms).for_each(|term| weights.data[place(term)] *= desired / (norm + EPSILON));
        }
        vec![weights]
    }
}

impl Op for ConstrainNonNegative {
    fn name(&self) -> &'static str {
        "constrain_non_negative"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        infer(self, inputs, TensorType::f32([self.count]))
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let weights = lowering.outputs()[0];
        let (groups, unused) = (self.count as u32, 0.0);
        let params = kernel::Params { groups, terms: 1, inner: 1, minimum: unused, maximum: unused, rate: unused };
        lowering.push(kernel::NonNegative { weights }.call(params, linear_workgroups(self.count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let positive = |w: &f64| if *w < 0.0 { 0.0 } else { *w };
        vec![Array::f32([self.count], inputs[0].data.iter().map(positive).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let norm = |extents: [usize; 3], minimum, maximum, rate| {
        let op = ConstrainNorm { extents, minimum, maximum, rate };
        let name = format!("constrain_norm {extents:?} {minimum} {maximum} {rate}");
        Case::new(name, op, vec![]).rewriting(vec![Array::random(extents, 1)])
    };
    let non_negative = |count: usize| {
        let op = ConstrainNonNegative { count };
        Case::new(format!("constrain_non_negative [{count}]"), op, vec![]).rewriting(vec![Array::random([count], 1)])
    };
    vec![
        norm([1, 1, 1], 0.0, 0.5, 1.0),
        norm([1, 300, 7], 0.0, 2.0, 1.0),
        norm([3, 5, 20], 1.0, 1.0, 1.0),
        norm([4, 65, 1], 9.0, 10.0, 0.25),
        norm([2, 3, 257], 0.25, 0.75, 0.5),
        non_negative(1),
        non_negative(257),
    ]
}
