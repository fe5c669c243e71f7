//! `loss[n] = mean over e of f(y[n, e], t[n, e])`.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::mean_loss as kernel;
use crate::nan::{clamped, larger};

/// The minimum number of elements of a row summed by a workgroup instead of an invocation.
const WIDE: usize = 64;
/// The clipping of probabilities: 1e-7 and 1 - 1e-7 in f32, as in Keras.
const CLIPPED: [f64; 2] = [1e-7, 0.9999999f32 as f64];

/// The elementwise distance of an output `y` and its target `t`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// `(y - t)²`
    SquaredError,
    /// `|y - t|`
    AbsoluteError,
    /// `-(t log y + (1 - t) log(1 - y))`, with `y` clipped to 1e-7 and 1 - 1e-7.
    BinaryCrossEntropy,
    /// `max(y, 0) - y t + log(1 + exp(-|y|))`: the cross-entropy of the sigmoid of `y`.
    BinaryCrossEntropyOfLogits,
    /// 1 if `y` is above the threshold and `t` is 1, or `y` is not and `t` is 0; otherwise, and for NaN, 0. Has no
    /// gradient.
    Hit {
        /// The threshold.
        threshold: f32,
    },
}

/// The mean distance of each sample: `(y [N, …], t [N, …]) -> [N]`.
#[derive(Clone, Copy, Debug)]
pub struct MeanLoss {
    /// The elementwise distance.
    pub distance: Distance,
}

/// `dy[n, e] = dloss[n] / E f'(y[n, e], t[n, e])`: `(y [N, …], t [N, …], dloss [N]) -> [N, …]`.
#[derive(Clone, Copy, Debug)]
pub struct MeanLossGradient {
    /// The elementwise distance.
    pub distance: Distance,
}

impl Distance {
    fn overrides(self) -> kernel::Overrides {
        let function = match self {
            Distance::SquaredError => kernel::SQUARED_ERROR,
            Distance::AbsoluteError => kernel::ABSOLUTE_ERROR,
            Distance::BinaryCrossEntropy => kernel::CROSS_ENTROPY,
            Distance::BinaryCrossEntropyOfLogits => kernel::CROSS_ENTROPY_OF_LOGITS,
            Distance::Hit { .. } => kernel::HIT,
        };
        kernel::Overrides { function }
    }

    fn params(self, [rows, elements]: [usize; 2]) -> kernel::Params {
        let threshold = if let Distance::Hit { threshold } = self { threshold } else { 0.0 };
        kernel::Params { rows: rows as u32, elements: elements as u32, threshold }
    }

    fn value(self, y: f64, t: f64) -> f64 {
        match self {
            Distance::SquaredError => (y - t).powi(2),
            Distance::AbsoluteError => (y - t).abs(),
            Distance::BinaryCrossEntropy => {
                let p = clamped(y, CLIPPED[0], CLIPPED[1]);
                -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
            }
            Distance::BinaryCrossEntropyOfLogits => larger(y, 0.0) - y * t + (-y.abs()).exp().ln_1p(),
            Distance::Hit { .. } if y.is_nan() => 0.0,
            Distance::Hit { threshold } => f64::from(f64::from(y > f64::from(threshold)) == t),
        }
    }

    fn slope(self, y: f64, t: f64) -> f64 {
        match self {
            _ if y.is_nan() || t.is_nan() => f64::NAN,
            Distance::SquaredError => 2.0 * (y - t),
            Distance::AbsoluteError if y == t => 0.0,
            Distance::AbsoluteError => (y - t).signum(),
            Distance::BinaryCrossEntropy if !(CLIPPED[0]..=CLIPPED[1]).contains(&y) => 0.0,
            Distance::BinaryCrossEntropy => (1.0 - t) / (1.0 - y) - t / y,
            Distance::BinaryCrossEntropyOfLogits => 1.0 / (1.0 + (-y).exp()) - t,
            Distance::Hit { .. } => 0.0,
        }
    }
}

/// The numbers of rows and of elements per row, if outputs and targets match.
fn fit(y: &TensorType, targets: &TensorType) -> Option<[usize; 2]> {
    let rows = *y.shape.first()?;
    let elements = y.shape.sample().elements();
    (y == targets && y.dtype == DType::F32 && elements > 0).then_some([rows, elements])
}

impl MeanLoss {
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 2]> {
        match inputs {
            [y, targets] => fit(y, targets),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "(y f32 [N, …], t f32 of the same shape)", inputs))
    }
}

impl Op for MeanLoss {
    fn name(&self) -> &'static str {
        "mean_loss"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|[rows, _]| vec![TensorType::f32([rows])])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (y, targets, loss) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let sizes = self.sizes(&lowering.input_types())?;
        let [rows, elements] = sizes;
        let (params, overrides) = (self.distance.params(sizes), self.distance.overrides());
        lowering.push(if elements < WIDE {
            kernel::Narrow { y, targets, loss }.call(params, overrides, linear_workgroups(rows, 256))
        } else {
            kernel::Wide { y, targets, loss }.call(params, overrides, linear_workgroups(rows, 1))
        });
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let unwanted = if matches!(self.distance, Distance::Hit { .. }) { 0 } else { 1 };
        if let Some(input) = (unwanted..2).find(|&input| gradient.wants(input)) {
            return Err(Error::NotDifferentiable { op: self.name(), input });
        }
        if let Some(dloss) = gradient.output_gradient(0) {
            let (y, targets) = (gradient.inputs()[0], gradient.inputs()[1]);
            let dy = gradient.add(MeanLossGradient { distance: self.distance }, &[y, targets, dloss])?;
            gradient.set(0, dy);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [rows, elements] = fit(&inputs[0].ty, &inputs[1].ty).unwrap_or_default();
        let mut loss = Array::zeros([rows]);
        for (i, (&y, &t)) in inputs[0].data.iter().zip(&inputs[1].data).enumerate() {
            loss.data[i / elements] += self.distance.value(y, t) / elements as f64;
        }
        vec![loss]
    }
}

impl MeanLossGradient {
    fn sizes(&self, inputs: &[TensorType]) -> Result<[usize; 2]> {
        match inputs {
            [y, targets, dloss] => fit(y, targets).filter(|&[rows, _]| *dloss == TensorType::f32([rows])),
            _ => None,
        }
        .ok_or_else(|| Error::inputs(self.name(), "(y f32 [N, …], t f32 of the same shape, dloss f32 [N])", inputs))
    }
}

impl Op for MeanLossGradient {
    fn name(&self) -> &'static str {
        "mean_loss_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.sizes(inputs).map(|_| vec![inputs[0].clone()])
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let sizes = self.sizes(&lowering.input_types())?;
        let [y, targets, dloss] = [0, 1, 2].map(|input| lowering.inputs()[input]);
        let tensors = kernel::Gradient { y, targets, dloss, dy: lowering.outputs()[0] };
        let (params, overrides) = (self.distance.params(sizes), self.distance.overrides());
        lowering.push(tensors.call(params, overrides, linear_workgroups(sizes[0] * sizes[1], 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [_, elements] = fit(&inputs[0].ty, &inputs[1].ty).unwrap_or_default();
        let dy = inputs[0]
            .data
            .iter()
            .zip(&inputs[1].data)
            .enumerate()
            .map(|(i, (&y, &t))| inputs[2].data[i / elements] / elements as f64 * self.distance.slope(y, t));
        vec![Array::f32(inputs[0].shape().clone(), dy.collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let distances = [
        Distance::SquaredError,
        Distance::AbsoluteError,
        Distance::BinaryCrossEntropy,
        Distance::BinaryCrossEntropyOfLogits,
        Distance::Hit { threshold: 0.25 },
    ];
    let mut cases = Vec::new();
    for distance in distances {
        for dims in [vec![1, 1], vec![257, 3], vec![3, 5, 2], vec![3, 7, 10, 1]] {
            let (mut y, mut t) = (Array::random(dims.clone(), 1), Array::random(dims.clone(), 2));
            match distance {
                Distance::BinaryCrossEntropy => {
                    [&mut y, &mut t].into_iter().flat_map(|array| &mut array.data).for_each(|v| *v = 0.5 + 0.4 * *v);
                }
                Distance::Hit { .. } => t.data.iter_mut().for_each(|t| *t = f64::from(*t > 0.0)),
                _ => {}
            }
            let case = Case::new(format!("mean_loss {distance:?} {dims:?}"), MeanLoss { distance }, vec![y, t]);
            let differentiable: &[usize] = if matches!(distance, Distance::Hit { .. }) { &[] } else { &[0] };
            cases.push(case.differentiable(differentiable));
        }
    }
    // Beyond the clipping bounds, the loss is constant.
    let ends = Array::f32([2, 3], vec![0.0, 1.0, 0.5, -3.0, 7.0, 1.0]);
    let targets = Array::f32([2, 3], vec![1.0, 0.0, 1.0, 0.25, 0.5, 1.0]);
    let op = MeanLoss { distance: Distance::BinaryCrossEntropy };
    cases.push(Case::new("mean_loss of certainties", op, vec![ends.clone(), targets.clone()]));
    let op = MeanLossGradient { distance: Distance::BinaryCrossEntropy };
    cases.push(Case::new("mean_loss_gradient of certainties", op, vec![ends, targets, Array::random([2], 1)]));
    cases
}
