//! `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, per channel.

use std::sync::Arc;

use kiln_graph::{Array, Error, Gradient, Lowering, Op, Result, Step, Tensor, TensorType, Window};

use crate::batch_norm_gradient::{BatchNormInputGradient, BatchNormSums};
use crate::case::Case;
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::kernels::batch_norm as kernel;
use crate::moments::{self, Rows, SHAPES, channels};
use crate::tiles::channel_tiles;

/// Batch normalization (Ioffe and Szegedy 2015) with the batch's mean and biased variance: `(x […, C], gamma [C] if
/// any, beta [C] if any) -> (y […, C], mean [C], variance [C])`. Only `y` is differentiable, not mean and variance.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// Added to the variance, above 0.
    pub epsilon: f32,
    /// Whether there is a gamma.
    pub scale: bool,
    /// Whether there is a beta.
    pub center: bool,
}

/// Batch normalization with given mean and variance, as in prediction: `(x […, C], mean [C], variance [C], gamma [C] if
/// any, beta [C] if any) -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormInference {
    /// Added to the variance, above 0.
    pub epsilon: f32,
    /// Whether there is a gamma.
    pub scale: bool,
    /// Whether there is a beta.
    pub center: bool,
}

/// Gamma and beta, the last inputs.
fn gamma_and_beta<T: Copy>(inputs: &[T], first: usize, scale: bool, center: bool) -> [Option<T>; 2] {
    let mut parameters = inputs.iter().copied().skip(first);
    [scale, center].map(|given| if given { parameters.next() } else { None })
}

/// The channels, if the inputs are an `x […, C]` and `others` tensors `[C]`.
fn fit(inputs: &[TensorType], others: usize) -> Option<usize> {
    let (x, rest) = inputs.split_first()?;
    let channels = channels(x)?;
    (rest.len() == others && rest.iter().all(|ty| *ty == TensorType::f32([channels]))).then_some(channels)
}

fn expected(statistics: &str, scale: bool, center: bool) -> String {
    let [gamma, beta] =
        [(scale, ", gamma [C]"), (center, ", beta [C]")].map(|(given, name)| if given { name } else { "" });
    format!("f32 (x […, C]{statistics}{gamma}{beta}) with at least one element")
}

/// Pushes the call that normalizes with these statistics.
fn normalize(
    lowering: &mut Lowering,
    epsilon: f32,
    [mean, variance]: [Tensor; 2],
    parameters: [Option<Tensor>; 2],
    epilogue: Epilogue,
) {
    let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
    let rows = Rows::of(lowering.shape(x));
    let [gamma, beta] = parameters;
    let overrides =
        kernel::Overrides { scale: gamma.is_some(), center: beta.is_some(), epilogue: epilogue.overrides() };
    let (gamma, beta) = (gamma.unwrap_or(mean), beta.unwrap_or(mean));
    let form = lowering.form([rows.channels]);
    for Window { units, parts: [x, y] } in lowering.windows(rows.rows, [(x, rows.width), (y, rows.width)]) {
        let [width, channels] = [rows.width, rows.channels].map(|values| form.units(values) as u32);
        let params = kernel::Params { rows: units.len() as u32, width, channels, epsilon };
        let tensors = kernel::Forward { x, mean, variance, gamma, beta, gates: epilogue.gates(mean), y };
        lowering.push(tensors.call(form, params, overrides, channel_tiles(form, units.len(), rows.width)));
    }
}

fn reference(x: &Array, epsilon: f32, [mean, variance]: [&Array; 2], [gamma, beta]: [Option<&Array>; 2]) -> Array {
    let value = |(i, x): (usize, &f64)| {
        let c = i % mean.data.len();
        let normal = (x - mean.data[c]) / (variance.data[c] + f64::from(epsilon)).sqrt();
        gamma.map_or(1.0, |gamma| gamma.data[c]) * normal + beta.map_or(0.0, |beta| beta.data[c])
    };
    Array::f32(x.shape().clone(), x.data.iter().enumerate().map(value).collect())
}

/// The backward pass of both ops: the positions of gamma and beta among the inputs, and the statistics of the
/// normalization.
struct Backward {
    epsilon: f32,
    scale: bool,
    center: bool,
    /// The index of the first of gamma and beta.
    first: usize,
    statistics: [Tensor; 2],
    of_batch: bool,
}

impl Backward {
    fn append(&self, gradient: &mut Gradient, dy: Tensor) -> Result<()> {
        let Backward { epsilon, of_batch, statistics: [mean, variance], .. } = *self;
        let x = gradient.inputs()[0];
        let places: Vec<usize> = (0..gradient.inputs().len()).collect();
        let [gamma, beta] = gamma_and_beta(&places, self.first, self.scale, self.center);
        let wants = |place: Option<usize>| place.is_some_and(|place| gradient.wants(place));
        let sums = match wants(gamma) || wants(beta) || (of_batch && gradient.wants(0)) {
            true => gradient.add_shared(Arc::new(BatchNormSums { epsilon }), &[x, dy, mean, variance])?,
            false => Vec::new(),
        };
        if gradient.wants(0) {
            let mut inputs = vec![dy, variance];
            inputs.extend(gamma.map(|place| gradient.inputs()[place]));
            if of_batch {
                inputs.extend([x, mean].iter().chain(&sums));
            }
            let dx = gradient.add(BatchNormInputGradient { epsilon, scale: self.scale, of_batch }, &inputs)?;
            gradient.set(0, dx);
        }
        for (place, &sum) in [gamma, beta].into_iter().zip(&sums) {
            if let Some(place) = place.filter(|&place| gradient.wants(place)) {
                gradient.set(place, sum);
            }
        }
        Ok(())
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let parameters = usize::from(self.scale) + usize::from(self.center);
        let channels = fit(inputs, parameters)
            .ok_or_else(|| Error::inputs(self.name(), expected("", self.scale, self.center), inputs))?;
        let statistics = TensorType::f32([channels]);
        Ok(vec![inputs[0].clone(), statistics.clone(), statistics])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, _: usize) -> Option<Arc<dyn Op>> {
        fused::fuse_activation(self, next)
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if gradient.output_gradient(1).is_some() || gradient.output_gradient(2).is_some() {
            return Err(Error::NotDifferentiable { op: self.name(), input: 0 });
        }
        let BatchNorm { epsilon, scale, center } = *self;
        let statistics = [gradient.outputs()[1], gradient.outputs()[2]];
        match gradient.output_gradient(0) {
            Some(dy) => Backward { epsilon, scale, center, first: 1, statistics, of_batch: true }.append(gradient, dy),
            None => Ok(()),
        }
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [mean, variance] = moments::reference(inputs[0]);
        let parameters = gamma_and_beta(inputs, 1, self.scale, self.center);
        let y = reference(inputs[0], self.epsilon, [&mean, &variance], parameters);
        vec![y, mean, variance]
    }
}

impl BatchNormInference {
    /// Gamma and beta among the inputs after `x`.
    pub(crate) fn gamma_and_beta(&self, after_x: &[Tensor]) -> [Option<Tensor>; 2] {
        gamma_and_beta(after_x, 2, self.scale, self.center)
    }
}

impl Op for BatchNormInference {
    fn name(&self) -> &'static str {
        "batch_norm_inference"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let others = 2 + usize::from(self.scale) + usize::from(self.center);
        let wrong = || {
            let expected = expected(", mean [C], variance [C]", self.scale, self.center);
            Error::inputs(self.name(), expected, inputs)
        };
        fit(inputs, others).map(|_| vec![inputs[0].clone()]).ok_or_else(wrong)
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn fuse(&self, next: &dyn Op, _: usize) -> Option<Arc<dyn Op>> {
        fused::fuse_activation(self, next)
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(input) = [1, 2].into_iter().find(|&input| gradient.wants(input)) {
            return Err(Error::NotDifferentiable { op: self.name(), input });
        }
        let BatchNormInference { epsilon, scale, center } = *self;
        let statistics = [gradient.inputs()[1], gradient.inputs()[2]];
        match gradient.output_gradient(0) {
            Some(dy) => Backward { epsilon, scale, center, first: 3, statistics, of_batch: false }.append(gradient, dy),
            None => Ok(()),
        }
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let parameters = gamma_and_beta(inputs, 3, self.scale, self.center);
        vec![reference(inputs[0], self.epsilon, [inputs[1], inputs[2]], parameters)]
    }
}

impl HasEpilogue for BatchNorm {
    fn arity(&self) -> usize {
        1 + usize::from(self.scale) + usize::from(self.center)
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (x, mean, variance) = (lowering.inputs()[0], lowering.outputs()[1], lowering.outputs()[2]);
        moments::moments(lowering, x, mean, variance);
        let parameters = gamma_and_beta(lowering.inputs(), 1, self.scale, self.center);
        normalize(lowering, self.epsilon, [mean, variance], parameters, epilogue);
        Ok(())
    }
}

impl HasEpilogue for BatchNormInference {
    fn arity(&self) -> usize {
        3 + usize::from(self.scale) + usize::from(self.center)
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let statistics = [lowering.inputs()[1], lowering.inputs()[2]];
        let parameters = gamma_and_beta(lowering.inputs(), 3, self.scale, self.center);
        normalize(lowering, self.epsilon, statistics, parameters, epilogue);
        Ok(())
    }
}

/// Gamma and beta of these channels, if any.
fn parameters(channels: usize, scale: bool, center: bool) -> impl Iterator<Item = Array> {
    let given = [(scale, 2), (center, 3)].into_iter().filter(|(given, _)| *given);
    given.map(move |(_, seed)| Array::random([channels], seed))
}

/// Nonnegative random variances.
pub(crate) fn variances(channels: usize) -> Array {
    let mut variance = Array::random([channels], 5);
    variance.data.iter_mut().for_each(|v| *v = v.abs() + 0.1);
    variance
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, shape) in SHAPES.iter().enumerate() {
        let (scale, center, epsilon) = (i % 4 != 3, i % 4 != 2, 1e-3);
        let channels = shape.last().copied().unwrap_or(1);
        let name = |mode: &str| format!("batch_norm {mode} {shape:?} scale {scale} center {center}");
        let x = || vec![Array::random(*shape, 1)];
        let count = usize::from(scale) + usize::from(center);

        let inputs: Vec<Array> = x().into_iter().chain(parameters(channels, scale, center)).collect();
        let differentiable: Vec<usize> = (0..=count).collect();
        let op = BatchNorm { epsilon, scale, center };
        cases.push(Case::new(name("training"), op, inputs).differentiable(&differentiable));

        let statistics = [Array::random([channels], 4), variances(channels)];
        let inputs = x().into_iter().chain(statistics).chain(parameters(channels, scale, center)).collect();
        let differentiable: Vec<usize> = [0].into_iter().chain(3..3 + count).collect();
        let op = BatchNormInference { epsilon, scale, center };
        cases.push(Case::new(name("inference"), op, inputs).differentiable(&differentiable));
    }
    cases
}
