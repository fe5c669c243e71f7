//! `dgamma = sum of dy (x - mean) / s`, `dbeta = sum of dy`, `dx = gamma / s (dy - dbeta / R - (x - mean) / s dgamma / R)`.

use kiln_graph::{Array, Error, Form, Lowering, Op, Result, Step, TensorType, Window};

use crate::batch_norm::variances;
use crate::case::Case;
use crate::kernels::batch_norm_gradient as kernel;
use crate::moments::{Rows, SHAPES, channels};
use crate::sum::sum_rows;
use crate::tiles::{channel_chunks, channel_tiles};

/// The gradients of [`BatchNorm`](crate::BatchNorm) with respect to gamma and beta, even if the op has none: `(x […,
/// C], dy […, C], mean [C], variance [C]) -> (dgamma [C], dbeta [C])`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormSums {
    /// Added to the variance.
    pub epsilon: f32,
}

/// The gradient of [`BatchNorm`](crate::BatchNorm) with respect to x: `(dy […, C], variance [C], gamma [C] if any)` and,
/// if the statistics are the batch's own and depend on x, `(x […, C], mean [C], dgamma [C], dbeta [C]) -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormInputGradient {
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether there is a gamma.
    pub scale: bool,
    /// Whether mean and variance are those of x.
    pub of_batch: bool,
}

/// The parameters of a call on `of_them` of the rows.
fn params(rows: &Rows, of_them: usize, form: Form, epsilon: f32) -> kernel::Params {
    kernel::Params {
        rows: of_them as u32,
        width: form.units(rows.width) as u32,
        channels: form.units(rows.channels) as u32,
        chunk: rows.chunk() as u32,
        epsilon,
        count: rows.count() as f32,
    }
}

/// `1 / sqrt(variance + epsilon)`.
fn inverses(variance: &Array, epsilon: f32) -> Vec<f64> {
    variance.data.iter().map(|variance| 1.0 / (variance + f64::from(epsilon)).sqrt()).collect()
}

impl BatchNormSums {
    fn fit(&self, inputs: &[TensorType]) -> Option<usize> {
        let [x, dy, mean, variance] = inputs else { return None };
        let channels = channels(x)?;
        let statistics = TensorType::f32([channels]);
        (dy == x && *mean == statistics && *variance == statistics).then_some(channels)
    }
}

impl Op for BatchNormSums {
    fn name(&self) -> &'static str {
        "batch_norm_sums"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let expected = "f32 (x […, C], dy […, C], mean [C], variance [C]) with at least one element";
        let channels = self.fit(inputs).ok_or_else(|| Error::inputs(self.name(), expected, inputs))?;
        Ok(vec![TensorType::f32([channels]); 2])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let &[x, dy, mean, variance] = lowering.inputs() else { return Ok(()) };
        let (dgamma, dbeta) = (lowering.outputs()[0], lowering.outputs()[1]);
        let rows = Rows::of(lowering.shape(x));
        let parts = TensorType::f32([rows.parts(), rows.channels]);
        let [dgammas, dbetas] = [parts.clone(), parts].map(|ty| lowering.scratch(ty));
        let overrides = kernel::Overrides { scale: false };
        let form = lowering.form([rows.channels]);
        let (chunk, width) = (rows.chunk() * rows.width, rows.width);
        let cut = [(x, chunk), (dy, chunk), (dgammas, width), (dbetas, width)];
        for Window { units, parts: [x, dy, dgammas, dbetas] } in lowering.windows(rows.chunks(), cut) {
            let workgroups = channel_chunks(form, units.len(), width);
            let params = params(&rows, lowering.shape(x).elements() / width, form, self.epsilon);
            let tensors = kernel::Sums { x, dy, mean, variance, dgammas, dbetas };
            lowering.push(tensors.call(form, params, overrides, workgroups));
        }
        for (parts, sum) in [(dgammas, dgamma), (dbetas, dbeta)] {
            sum_rows(lowering, parts, sum, [rows.parts(), rows.channels], 1.0);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let &[x, dy, mean, variance] = inputs else { return Vec::new() };
        let inverses = inverses(variance, self.epsilon);
        let [mut dgamma, mut dbeta] = [mean, mean].map(|like| Array::zeros(like.shape().clone()));
        for (i, (x, dy)) in x.data.iter().zip(&dy.data).enumerate() {
            let c = i % inverses.len();
            dgamma.data[c] += dy * (x - mean.data[c]) * inverses[c];
            dbeta.data[c] += dy;
        }
        vec![dgamma, dbeta]
    }
}

impl BatchNormInputGradient {
    /// Checks the inputs.
    fn fit(&self, inputs: &[TensorType]) -> Option<()> {
        let dy = inputs.first()?;
        let (whole, each) = (dy.clone(), TensorType::f32([channels(dy)?]));
        let mut expected = vec![whole.clone(), each.clone()];
        expected.extend(self.scale.then(|| each.clone()));
        if self.of_batch {
            expected.extend([whole, each.clone(), each.clone(), each]);
        }
        (inputs == expected).then_some(())
    }
}

impl Op for BatchNormInputGradient {
    fn name(&self) -> &'static str {
        "batch_norm_input_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let wrong = || {
            let gamma = if self.scale { ", gamma [C]" } else { "" };
            let batch = if self.of_batch { ", x […, C], mean [C], dgamma [C], dbeta [C]" } else { "" };
            let expected = format!("f32 (dy […, C], variance [C]{gamma}{batch}) with at least one element");
            Error::inputs(self.name(), expected, inputs)
        };
        self.fit(inputs).map(|()| vec![inputs[0].clone()]).ok_or_else(wrong)
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (dy, variance, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let gamma = if self.scale { lowering.inputs()[2] } else { variance };
        let rows = Rows::of(lowering.shape(dy));
        let overrides = kernel::Overrides { scale: self.scale };
        let form = lowering.form([rows.channels]);
        let width = rows.width;
        let of_batch = match lowering.inputs()[2 + usize::from(self.scale)..] {
            [x, mean, dgamma, dbeta] => Some([x, mean, dgamma, dbeta]),
            _ => None,
        };
        let cut = [of_batch.map_or(dy, |[x, ..]| x), dy, dx].map(|tensor| (tensor, width));
        for Window { units, parts: [x, dy, dx] } in lowering.windows(rows.rows, cut) {
            let params = params(&rows, units.len(), form, self.epsilon);
            let workgroups = channel_tiles(form, units.len(), width);
            lowering.push(match of_batch {
                Some([_, mean, dgamma, dbeta]) => {
                    let tensors = kernel::Gradient { x, dy, mean, variance, gamma, dgamma, dbeta, dx };
                    tensors.call(form, params, overrides, workgroups)
                }
                None => kernel::GradientOfGiven { dy, variance, gamma, dx }.call(form, params, overrides, workgroups),
            });
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let (dy, inverses) = (inputs[0], inverses(inputs[1], self.epsilon));
        let gamma = |c: usize| if self.scale { inputs[2].data[c] } else { 1.0 };
        let count = (dy.data.len() / inverses.len()) as f64;
        let value = |(i, dy): (usize, &f64)| {
            let c = i % inverses.len();
            let rest = match inputs[2 + usize::from(self.scale)..] {
                [x, mean, dgamma, dbeta] => {
                    (dbeta.data[c] + (x.data[i] - mean.data[c]) * inverses[c] * dgamma.data[c]) / count
                }
                _ => 0.0,
            };
            gamma(c) * inverses[c] * (dy - rest)
        };
        vec![Array::f32(dy.shape().clone(), dy.data.iter().enumerate().map(value).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, &shape) in SHAPES.iter().enumerate() {
        let channels = shape.last().copied().unwrap_or(1);
        let [x, dy] = [1, 2].map(|seed| Array::random(shape, seed));
        let each = |seed| Array::random([channels], seed);
        let (mean, variance) = (each(3), variances(channels));
        let epsilon = 1e-3;
        let inputs = vec![x.clone(), dy.clone(), mean.clone(), variance.clone()];
        cases.push(Case::new(format!("batch_norm_sums {shape:?}"), BatchNormSums { epsilon }, inputs));
        for of_batch in [false, true] {
            let scale = i % 4 != 3;
            let mut inputs = vec![dy.clone(), variance.clone()];
            inputs.extend(scale.then(|| each(4)));
            if of_batch {
                inputs.extend([x.clone(), mean.clone(), each(6), each(7)]);
            }
            let name = format!("batch_norm_input_gradient {shape:?} scale {scale} of_batch {of_batch}");
            cases.push(Case::new(name, BatchNormInputGradient { epsilon, scale, of_batch }, inputs));
        }
    }
    cases
}
