//! `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, with mean and variance of each group of channels of an image.

use std::sync::Arc;

use kiln_graph::{
    Array, DType, Error, Form, Gradient, Lowering, Op, Pieces, Result, Shape, Step, Tensor, TensorType,
    linear_workgroups,
};

use crate::case::Case;
use crate::kernels::group_norm as kernel;
use crate::sum::sum_rows;
use crate::tiles::channel_chunks;

/// The number of invocations that occupies a device, from which the size of chunks of pixels is derived.
const BUSY: usize = 1 << 16;
/// The minimum number of pixels of a chunk.
const SMALLEST_CHUNK: usize = 64;

/// Group normalization (Wu and He 2018): `(x [N, …, C], gamma [C] if any, beta [C] if any) -> (y [N, …, C], mean [N, G],
/// inverse [N, G])`, with `inverse = 1 / sqrt(variance + epsilon)` and the biased variance. With one group and no axis
/// between the first and the last it is layer normalization (Ba et al. 2016). Only `y` is differentiable.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm {
    /// The number of groups, a divisor of C.
    pub groups: usize,
    /// Added to the variance, above 0.
    pub epsilon: f32,
    /// Whether there is a gamma.
    pub scale: bool,
    /// Whether there is a beta.
    pub center: bool,
}

/// The gradient of [`GroupNorm`] with respect to `x`: `(x [N, …, C], dy [N, …, C], mean [N, G], inverse [N, G], gamma [C]
/// if any) -> [N, …, C]`.
#[derive(Clone, Copy, Debug)]
pub struct GroupNormInputGradient {
    /// The number of groups.
    pub groups: usize,
    /// Whether there is a gamma.
    pub scale: bool,
}

/// The gradients of [`GroupNorm`] with respect to gamma and beta: `(x [N, …, C], dy [N, …, C], mean [N, G], inverse [N,
/// G]) -> (dgamma [C], dbeta [C])`.
#[derive(Clone, Copy, Debug)]
pub struct GroupNormSums {
    /// The number of groups.
    pub groups: usize,
}

/// `[N, P, C]` of a nonempty f32 tensor whose channels have this many groups.
fn images(x: &TensorType, groups: usize) -> Option<[usize; 3]> {
    let (&channels, outer) = x.shape.split_last()?;
    let (&images, pixels) = outer.split_first()?;
    let fits = x.dtype == DType::F32 && x.shape.elements() > 0 && groups > 0 && channels.is_multiple_of(groups);
    fits.then(|| [images, pixels.iter().product(), channels])
}

fn params([images, pixels, channels]: [usize; 3], groups: usize, epsilon: f32) -> kernel::Params {
    let width = channels / groups;
    // Rows of invocations side by side fill a row of channels, or there are no pixels to distribute them to.
    let wide = width >= 4 * kernel::LANES as usize || pixels == 1;
    let chunk = chunk(images * pixels, channels);
    let [images, pixels, channels, groups, chunk] = [images, pixels, channels, groups, chunk].map(|n| n as u32);
    kernel::Params { images, pixels, channels, groups, chunk, wide: u32::from(wide), epsilon }
}

fn chunk(pixels: usize, channels: usize) -> usize {
    pixels.div_ceil(BUSY.div_ceil(channels)).max(SMALLEST_CHUNK)
}

/// Mean and inverse of each group.
fn statistics(x: &Array, groups: usize, epsilon: f64) -> [Vec<f64>; 2] {
    let Some([n, p, c]) = images(&x.ty, groups) else { return [Vec::new(), Vec::new()] };
    let count = (p * c / groups) as f64;
    let mut mean = vec![0.0; n * groups];
    let mut variance = mean.clone();
    let group = |i: usize| i / (p * c) * groups + i % c / (c / groups);
    x.data.iter().enumerate().for_each(|(i, x)| mean[group(i)] += x / count);
    x.data.iter().enumerate().for_each(|(i, x)| variance[group(i)] += (x - mean[group(i)]).powi(2) / count);
    let inverse = variance.into_iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
    [mean, inverse]
}

impl GroupNorm {
    fn parameters(&self) -> usize {
        usize::from(self.scale) + usize::from(self.center)
    }
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let fit = || {
            let (x, parameters) = inputs.split_first()?;
            let [images, _, channels] = images(x, self.groups)?;
            let parameter = TensorType::f32([channels]);
            let fits = parameters.len() == self.parameters() && parameters.iter().all(|ty| *ty == parameter);
            let statistics = TensorType::f32([images, self.groups]);
            fits.then(|| vec![x.clone(), statistics.clone(), statistics])
        };
        let [gamma, beta] = [(self.scale, ", gamma [C]"), (self.center, ", beta [C]")]
            .map(|(given, name)| if given { name } else { "" });
        let expected =
            || format!("f32 (x [N, …, C]{gamma}{beta}) with at least one element, C a multiple of {}", self.groups);
        fit().ok_or_else(|| Error::inputs(self.name(), expected(), inputs))
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let (x, [y, mean, inverse]) = (lowering.inputs()[0], [0, 1, 2].map(|output| lowering.outputs()[output]));
        let images = images(lowering.ty(x), self.groups).unwrap_or_default();
        let mut parameters = lowering.inputs()[1..].iter().copied();
        let [gamma, beta] =
            [self.scale, self.center].map(|given| if given { parameters.next().unwrap_or(x) } else { x });
        let overrides = kernel::Overrides { scale: self.scale, center: self.center };
        let workgroups = linear_workgroups(images[0] * self.groups, 1);
        let tensors = kernel::Forward { x, gamma, beta, y, mean, inverse };
        lowering.push(tensors.call(params(images, self.groups, self.epsilon), overrides, workgroups));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if gradient.output_gradient(1).is_some() || gradient.output_gradient(2).is_some() {
            return Err(Error::NotDifferentiable { op: self.name(), input: 0 });
        }
        let Some(dy) = gradient.output_gradient(0) else { return Ok(()) };
        let GroupNorm { groups, scale, .. } = *self;
        let inputs = gradient.inputs().to_vec();
        let taken = vec![inputs[0], dy, gradient.outputs()[1], gradient.outputs()[2]];
        if gradient.wants(0) {
            let taken = [&taken[..], &inputs[1..1 + usize::from(scale)]].concat();
            let dx = gradient.add(GroupNormInputGradient { groups, scale }, &taken)?;
            gradient.set(0, dx);
        }
        if (1..inputs.len()).any(|input| gradient.wants(input)) {
            let sums = gradient.add_shared(Arc::new(GroupNormSums { groups }), &taken)?;
            let first = usize::from(!scale);
            for (input, &sum) in (1..inputs.len()).zip(&sums[first..]) {
                if gradient.wants(input) {
                    gradient.set(input, sum);
                }
            }
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let x = inputs[0];
        let Some([n, p, c]) = images(&x.ty, self.groups) else { return Vec::new() };
        let [mean, inverse] = statistics(x, self.groups, f64::from(self.epsilon));
        let gamma = self.scale.then(|| inputs[1]);
        let beta = self.center.then(|| inputs[inputs.len() - 1]);
        let value = |(i, x): (usize, &f64)| {
            let group = i / (p * c) * self.groups + i % c / (c / self.groups);
            let normal = (x - mean[group]) * inverse[group];
            normal * gamma.map_or(1.0, |gamma| gamma.data[i % c]) + beta.map_or(0.0, |beta| beta.data[i % c])
        };
        let y = Array::f32(x.shape().clone(), x.data.iter().enumerate().map(value).collect());
        let [mean, inverse] = [mean, inverse].map(|values| Array::f32([n, self.groups], values));
        vec![y, mean, inverse]
    }
}

/// `[N, P, C]` of inputs `(x [N, …, C], dy [N, …, C], mean [N, G], inverse [N, G])`.
fn gradient_images(inputs: &[TensorType], groups: usize) -> Option<[usize; 3]> {
    let [x, dy, mean, inverse] = inputs else { return None };
    let extents @ [images, ..] = images(x, groups)?;
    (x == dy && mean == inverse && *mean == TensorType::f32([images, groups])).then_some(extents)
}

/// Calls `visit(element, channel, dy, normalized x, inverse)` for every element.
fn each(inputs: &[&Array], groups: usize, mut visit: impl FnMut(usize, usize, f64, f64, f64)) {
    let [x, dy, mean, inverse] = inputs[..4] else { return };
    let Some([_, p, c]) = images(&x.ty, groups) else { return };
    for (i, (x, &dy)) in x.data.iter().zip(&dy.data).enumerate() {
        let group = i / (p * c) * groups + i % c / (c / groups);
        visit(i, group, dy, (x - mean.data[group]) * inverse.data[group], inverse.data[group]);
    }
}

impl Op for GroupNormInputGradient {
    fn name(&self) -> &'static str {
        "group_norm_input_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let fit = || {
            let (taken, gamma) = inputs.split_at_checked(4)?;
            let [_, _, channels] = gradient_images(taken, self.groups)?;
            let fits =
                gamma.len() == usize::from(self.scale) && gamma.iter().all(|ty| *ty == TensorType::f32([channels]));
            fits.then(|| vec![taken[0].clone()])
        };
        let gamma = if self.scale { ", gamma [C]" } else { "" };
        let expected = || format!("f32 (x [N, …, C], dy, mean [N, {0}], inverse [N, {0}]{gamma})", self.groups);
        fit().ok_or_else(|| Error::inputs(self.name(), expected(), inputs))
    }

    fn pieces(&self) -> Pieces {
        Pieces::SamplesOf(vec![0, 1, 2, 3])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let [x, dy, means, inverses] = [0, 1, 2, 3].map(|input| lowering.inputs()[input]);
        let gamma = lowering.inputs().get(4).copied().unwrap_or(x);
        let dx = lowering.outputs()[0];
        let images = images(lowering.ty(x), self.groups).unwrap_or_default();
        let overrides = kernel::Overrides { scale: self.scale, center: false };
        let workgroups = linear_workgroups(images[0] * self.groups, 1);
        let tensors = kernel::Gradient { x, gamma, dy, means, inverses, dx };
        lowering.push(tensors.call(params(images, self.groups, 0.0), overrides, workgroups));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let Some([n, p, c]) = images(&inputs[0].ty, self.groups) else { return Vec::new() };
        let count = (p * c / self.groups) as f64;
        let gamma = |i: usize| inputs.get(4).map_or(1.0, |gamma| gamma.data[i % c]);
        let (mut sums, mut products) = (vec![0.0; n * self.groups], vec![0.0; n * self.groups]);
        each(inputs, self.groups, |i, group, dy, normal, _| {
            sums[group] += dy * gamma(i) / count;
            products[group] += dy * gamma(i) * normal / count;
        });
        let mut dx = Array::zeros(inputs[0].shape().clone());
        each(inputs, self.groups, |i, group, dy, normal, inverse| {
            dx.data[i] = inverse * (dy * gamma(i) - sums[group] - normal * products[group]);
        });
        vec![dx]
    }
}

impl Op for GroupNormSums {
    fn name(&self) -> &'static str {
        "group_norm_sums"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let channels = gradient_images(inputs, self.groups).map(|[_, _, channels]| TensorType::f32([channels]));
        let expected = || format!("f32 (x [N, …, C], dy, mean [N, {0}], inverse [N, {0}])", self.groups);
        channels.map(|ty| vec![ty.clone(), ty]).ok_or_else(|| Error::inputs(self.name(), expected(), inputs))
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.infer(&lowering.input_types())?;
        let [x, dy, means, inverses] = [0, 1, 2, 3].map(|input| lowering.inputs()[input]);
        let outputs: [Tensor; 2] = [lowering.outputs()[0], lowering.outputs()[1]];
        let extents @ [images, pixels, channels] = images(lowering.ty(x), self.groups).unwrap_or_default();
        let chunks = (images * pixels).div_ceil(chunk(images * pixels, channels));
        let parts = Shape::from([chunks, channels]);
        let [dgammas, dbetas] = [0, 1].map(|_| lowering.scratch(TensorType::f32(parts.clone())));
        let overrides = kernel::Overrides { scale: false, center: false };
        let tensors = kernel::Sums { x, dy, means, inverses, dgammas, dbetas };
        lowering.push(tensors.call(
            params(extents, self.groups, 0.0),
            overrides,
            channel_chunks(Form::Values, chunks, channels),
        ));
        for (parts, sum) in [dgammas, dbetas].into_iter().zip(outputs) {
            sum_rows(lowering, parts, sum, [chunks, channels], 1.0);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let channels = inputs[0].shape().last().copied().unwrap_or(1);
        let [mut dgamma, mut dbeta] = [0, 1].map(|_| Array::zeros([channels]));
        each(inputs, self.groups, |i, _, dy, normal, _| {
            dgamma.data[i % channels] += dy * normal;
            dbeta.data[i % channels] += dy;
        });
        vec![dgamma, dbeta]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let shapes: [(&[usize], usize); 10] = [
        (&[1, 1], 1),
        (&[3, 5], 1),
        (&[7, 96], 1),
        (&[2, 3000], 1),
        (&[2, 3, 5, 6], 3),
        (&[2, 3, 5, 6], 6),
        (&[3, 7, 5, 32], 2),
        (&[2, 3, 3, 130], 2),
        (&[1, 33, 4], 1),
        // In chunks; the sums of dy are far from 0, where rounding errors of f32 would be large in comparison.
        (&[194, 3], 1),
    ];
    let mut cases = Vec::new();
    for (i, (shape, groups)) in shapes.into_iter().enumerate() {
        let (scale, center) = (i % 4 != 3, i % 4 != 2);
        let channels = shape[shape.len() - 1];
        let op = GroupNorm { groups, epsilon: 1e-3, scale, center };
        let parameters = (0..op.parameters()).map(|i| Array::random([channels], 2 + i as u64));
        let inputs: Vec<Array> = [Array::random(shape, 1)].into_iter().chain(parameters).collect();
        let differentiable: Vec<usize> = (0..inputs.len()).collect();
        let name = format!("group_norm {shape:?} groups {groups} scale {scale} center {center}");
        cases.push(Case::new(name, op, inputs).differentiable(&differentiable));
    }
    cases
}
