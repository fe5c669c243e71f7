//! `loss[n] = sum over the c with t[n, c] != 0 of t[n, c] (lse[n] - x[n, c])`, with `lse[n] = log sum over c of exp(x[n, c])`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::softmax_cross_entropy as kernel;

/// The number of classes from which a GPU computes a row with a workgroup.
const MANY_CLASSES: usize = 32;

/// Fused softmax and cross-entropy: `(logits [N, C], targets) -> (loss [N], hits [N], lse [N])`. Targets are classes
/// (u32 `[N]`) or weights (f32 `[N, C]`, one-hot or smoothed). A hit is 1 if the first largest logit is the target's
/// first largest class and neither row has a NaN. Classes with weight 0 are ignored, even if the logit is minus
/// infinity. Unlike in Keras' loss on probabilities, nothing is clipped at 1e-7.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCrossEntropy;

/// `dx[n, c] = dloss[n] (exp(x[n, c] - lse[n]) sum over j of t[n, j] - t[n, c])`:
/// `(logits [N, C], targets, lse [N], dloss [N]) -> [N, C]`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCrossEntropyGradient;

/// The numbers of rows and classes, if logits and targets match.
pub(crate) fn fit(logits: &TensorType, targets: &TensorType) -> Option<[usize; 2]> {
    let [rows, classes] = logits.shape.dims()?;
    let fits = match targets.dtype {
        DType::U32 => targets.shape.dims() == Some([rows]),
        DType::F32 => targets.shape == logits.shape,
        DType::U8 => false,
    };
    (fits && classes > 0 && logits.dtype == DType::F32).then_some([rows, classes])
}

/// The targets as rows of weights.
pub(crate) fn weights(targets: &Array, [rows, classes]: [usize; 2]) -> Vec<f64> {
    match targets.ty.dtype {
        DType::F32 => targets.data.clone(),
        _ => (0..rows * classes).map(|i| f64::from(targets.data[i / classes] as usize == i % classes)).collect(),
    }
}

impl SoftmaxCrossEntropy {
    /// The numbers of rows and classes.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 2]> {
        match inputs {
            [logits, targets] => fit(logits, targets),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "(logits f32 [N, C], targets u32 [N] or f32 [N, C])", inputs))
    }
}

impl Op for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|[rows, _]| vec![TensorType::f32([rows]); 3])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (logits, targets) = (lowering.inputs()[0], lowering.inputs()[1]);
        let (loss, hits, lse) = (lowering.outputs()[0], lowering.outputs()[1], lowering.outputs()[2]);
        let [rows, classes] = self.sizes(&lowering.input_types())?;
        let overrides = kernel::Overrides { one_hot: lowering.ty(targets).dtype == DType::F32 };
        let params = kernel::Params { rows: rows as u32, classes: classes as u32 };
        lowering.push(match lowering.limits().gpu_kernels && classes >= MANY_CLASSES {
            true => {
                kernel::Rows { logits, targets, loss, hits, lse }.call(params, overrides, linear_workgroups(rows, 1))
            }
            false => {
                let workgroups = [rows.div_ceil(64).max(1) as u32, 1, 1];
                kernel::Forward { logits, targets, loss, hits, lse }.call(params, overrides, workgroups)
            }
        });
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if gradient.wants(1) {
            return Err(Error::NotDifferentiable { op: self.name(), input: 1 });
        }
        if let Some(dloss) = gradient.output_gradient(0) {
            let (logits, targets, lse) = (gradient.inputs()[0], gradient.inputs()[1], gradient.outputs()[2]);
            let dx = gradient.add(SoftmaxCrossEntropyGradient, &[logits, targets, lse, dloss])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, classes] = fit(&inputs[0].ty, &inputs[1].ty).unwrap_or_default();
        let targets = weights(inputs[1], [rows, classes]);
        let first_largest = |row: &[f64]| (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best });
        let mut outputs = vec![Array::zeros([rows]); 3];
        for n in 0..rows {
            let (x, t) = (&inputs[0].data[n * classes..][..classes], &targets[n * classes..][..classes]);
            let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let lse = largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
            outputs[0].data[n] = x.iter().zip(t).filter(|(_, t)| **t != 0.0).map(|(x, t)| t * (lse - x)).sum();
            outputs[1].data[n] =
                f64::from(first_largest(x) == first_largest(t) && !x.iter().chain(t).any(|v| v.is_nan()));
            outputs[2].data[n] = lse;
        }
        outputs
    }
}

impl SoftmaxCrossEntropyGradient {
    /// The numbers of rows and classes.
    ///
    /// # Errors
    /// If the inputs do not match.
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 2]> {
        let rows = |ty: &TensorType, rows: usize| *ty == TensorType::f32([rows]);
        match inputs {
            [logits, targets, lse, dloss] => fit(logits, targets).filter(|&[n, _]| rows(lse, n) && rows(dloss, n)),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "(logits f32 [N, C], targets, lse f32 [N], dloss f32 [N])", inputs))
    }
}

impl Op for SoftmaxCrossEntropyGradient {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|dims| vec![TensorType::f32(dims)])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let [rows, classes] = self.sizes(&lowering.input_types())?;
        let [logits, targets, normalizer, dloss] = [0, 1, 2, 3].map(|input| lowering.inputs()[input]);
        let dx = lowering.outputs()[0];
        let overrides = kernel::Overrides { one_hot: lowering.ty(targets).dtype == DType::F32 };
        let params = kernel::Params { rows: rows as u32, classes: classes as u32 };
        let tensors = kernel::Gradient { logits, targets, normalizer, dloss, dx };
        lowering.push(tensors.call(params, overrides, linear_workgroups(rows * classes, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, classes] = fit(&inputs[0].ty, &inputs[1].ty).unwrap_or_default();
        let targets = weights(inputs[1], [rows, classes]);
        let dx = (0..rows * classes).map(|i| {
            let row = i / classes;
            let total: f64 = targets[row * classes..][..classes].iter().sum();
            inputs[3].data[row] * (total * (inputs[0].data[i] - inputs[2].data[row]).exp() - targets[i])
        });
        vec![Array::f32([rows, classes], dx.collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dims in [[1, 1], [3, 10], [257, 3], [65, 33], [2, 1000]] {
        let mut logits = Array::random(dims, 1);
        logits.data.iter_mut().for_each(|v| *v *= 8.0);
        let classes = Array::random_below([dims[0]], DType::U32, dims[1] as u64, 2);
        let mut smoothed = Array::random(dims, 3);
        smoothed.data.iter_mut().for_each(|v| *v = v.abs());
        for (kind, targets) in [("classes", classes), ("weights", smoothed)] {
            let name = format!("softmax_cross_entropy {dims:?} {kind}");
            cases.push(Case::new(name, SoftmaxCrossEntropy, vec![logits.clone(), targets]).differentiable(&[0]));
        }
    }
    cases
}
