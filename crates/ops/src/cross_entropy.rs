//! `loss[n] = -sum over c of t[n, c] log q[n, c]`, with `q = p / (sum of p[n])` clipped to 1e-7 and 1 - 1e-7.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::cross_entropy as kernel;
use crate::nan::clamped;
use crate::softmax_cross_entropy::{fit, weights};

/// 1e-7 and 1 - 1e-7 in f32, as in Keras.
const CLIPPED: [f64; 2] = [1e-7, 0.9999999f32 as f64];

/// Keras' cross-entropy of probabilities: `(probabilities [N, C], targets) -> loss [N]`. Targets are classes (u32 `[N]`)
/// or weights (f32 `[N, C]`).
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy;

/// `dp[n, c] = dloss[n] / (sum of p[n]) (T - t[n, c] / q[n, c])`, where `T` is the sum of the targets whose `q` is not
/// clipped; for clipped `q`, only the term `T`: `(probabilities [N, C], targets, dloss [N]) -> [N, C]`.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyGradient;

impl CrossEntropy {
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 2]> {
        match inputs {
            [probabilities, targets] => fit(probabilities, targets),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "(probabilities f32 [N, C], targets u32 [N] or f32 [N, C])", inputs))
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|[rows, _]| vec![TensorType::f32([rows])])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (probabilities, targets, loss) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let [rows, classes] = self.sizes(&lowering.input_types())?;
        let overrides = kernel::Overrides { one_hot: lowering.ty(targets).dtype == DType::F32 };
        let params = kernel::Params { rows: rows as u32, classes: classes as u32 };
        let tensors = kernel::Forward { probabilities, targets, loss };
        lowering.push(tensors.call(params, overrides, [rows.div_ceil(64).max(1) as u32, 1, 1]));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if gradient.wants(1) {
            return Err(Error::NotDifferentiable { op: self.name(), input: 1 });
        }
        if let Some(dloss) = gradient.output_gradient(0) {
            let (probabilities, targets) = (gradient.inputs()[0], gradient.inputs()[1]);
            let dp = gradient.add(CrossEntropyGradient, &[probabilities, targets, dloss])?;
            gradient.set(0, dp);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, classes] = fit(&inputs[0].ty, &inputs[1].ty).unwrap_or_default();
        let targets = weights(inputs[1], [rows, classes]);
        let loss = inputs[0].data.chunks(classes).zip(targets.chunks(classes)).map(|(p, t)| {
            let total: f64 = p.iter().sum();
            -p.iter().zip(t).map(|(p, t)| t * clamped(p / total, CLIPPED[0], CLIPPED[1]).ln()).sum::<f64>()
        });
        vec![Array::f32([rows], loss.collect())]
    }
}

impl CrossEntropyGradient {
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 2]> {
        match inputs {
            [probabilities, targets, dloss] => {
                fit(probabilities, targets).filter(|&[rows, _]| *dloss == TensorType::f32([rows]))
            }
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "(probabilities f32 [N, C], targets, dloss f32 [N])", inputs))
    }
}

impl Op for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross_entropy_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|dims| vec![TensorType::f32(dims)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let [rows, classes] = self.sizes(&lowering.input_types())?;
        let [probabilities, targets, dloss] = [0, 1, 2].map(|input| lowering.inputs()[input]);
        let overrides = kernel::Overrides { one_hot: lowering.ty(targets).dtype == DType::F32 };
        let params = kernel::Params { rows: rows as u32, classes: classes as u32 };
        let tensors = kernel::Gradient { probabilities, targets, dloss, dp: lowering.outputs()[0] };
        lowering.push(tensors.call(params, overrides, [rows.div_ceil(64).max(1) as u32, 1, 1]));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, classes] = fit(&inputs[0].ty, &inputs[1].ty).unwrap_or_default();
        let targets = weights(inputs[1], [rows, classes]);
        let mut dp = Vec::with_capacity(rows * classes);
        for ((p, t), dloss) in inputs[0].data.chunks(classes).zip(targets.chunks(classes)).zip(&inputs[2].data) {
            let total: f64 = p.iter().sum();
            let is_kept = |p: &f64| (p / total).is_nan() || (CLIPPED[0]..=CLIPPED[1]).contains(&(p / total));
            let kept: f64 = p.iter().zip(t).filter(|(p, t)| is_kept(p) || t.is_nan()).map(|(_, t)| t).sum();
            let slope = |(p, t): (&f64, &f64)| kept - if is_kept(p) { t * total / p } else { 0.0 };
            dp.extend(p.iter().zip(t).map(|pair| dloss / total * slope(pair)));
        }
        vec![Array::f32([rows, classes], dp)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Not a single class: its loss would be -log(1 - 1e-7), smaller than the error of 5e-7 that WGSL allows for a
    // logarithm.
    for dims in [[1, 3], [3, 10], [257, 3], [2, 1000]] {
        let [mut probabilities, mut smoothed] = [1, 3].map(|seed| Array::random(dims, seed));
        probabilities.data.iter_mut().chain(&mut smoothed.data).for_each(|v| *v = 0.1 + v.abs());
        let classes = Array::random_below([dims[0]], DType::U32, dims[1] as u64, 2);
        for (kind, targets) in [("classes", classes), ("weights", smoothed)] {
            let name = format!("cross_entropy {dims:?} {kind}");
            let case = Case::new(name, CrossEntropy, vec![probabilities.clone(), targets]);
            cases.push(case.differentiable(&[0]));
        }
    }
    let certain = Array::f32([2, 3], vec![0.0, 1.0, 0.0, 0.5, 0.5, 0.0]);
    let targets = Array::f32([2, 3], vec![0.5, 0.25, 0.25, 0.0, 0.5, 0.5]);
    cases.push(Case::new("cross_entropy of certainties", CrossEntropy, vec![certain.clone(), targets.clone()]));
    let inputs = vec![certain, targets, Array::random([2], 1)];
    cases.push(Case::new("cross_entropy_gradient of certainties", CrossEntropyGradient, inputs));
    cases
}
