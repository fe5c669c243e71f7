//! A convolution followed by batch normalization with given statistics, as in prediction, is a convolution with other weights
//! and another bias: `conv(x, w, b) -> conv(x, w factor, (b - mean) factor + beta)` with `factor = gamma / sqrt(variance +
//! epsilon)`, per filter. It saves a pass over the result.

use std::any::Any;
use std::sync::Arc;

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Precision, Result, Step, Tensor, TensorType, linear_workgroups};

use crate::batch_norm::{BatchNormInference, variances};
use crate::case::Case;
use crate::conv2d::{Conv2d, geometries};
use crate::depthwise::{self, Geometry};
use crate::depthwise_conv2d::DepthwiseConv2d;
use crate::fused::{self, Epilogue, HasEpilogue};
use crate::kernels::fold_batch_norm as kernel;

/// A convolution `(x [N, H, W, C], weights, bias [columns] if any) -> [N, OH, OW, columns]`, whose weights in memory are rows of
/// one value per column: `[R, S, C, columns]` or, of a depthwise convolution, `[R, S, columns, 1]`.
pub(crate) trait Convolution: HasEpilogue {
    /// Whether it has a bias.
    fn has_bias(&self) -> bool;

    /// The same convolution with a bias.
    fn with_bias(&self) -> Self;
}

/// Fuses a convolution with the next op, if that is a batch normalization with given statistics.
pub(crate) fn fuse<O: Convolution>(op: &O, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
    let normalization: &BatchNormInference = (next as &dyn Any).downcast_ref().filter(|_| at == 0)?;
    Some(Arc::new(Normalized { op: *op, normalization: *normalization }))
}

/// A convolution and the normalization of its result: `(x, weights, bias if any, mean, variance, gamma if any, beta if any)`.
#[derive(Clone, Copy, Debug)]
struct Normalized<O> {
    op: O,
    normalization: BatchNormInference,
}

impl<O: Convolution> Normalized<O> {
    /// Whether folding pays: if an image of the result has more values than there are weights. It depends on neither the batch
    /// nor the device, so that predictions have the same bits for all batches.
    fn pays(&self, lowering: &Lowering) -> bool {
        let (weights, result) = (lowering.shape(lowering.inputs()[1]), lowering.shape(lowering.outputs()[0]));
        let image: usize = result.iter().skip(1).product();
        // In mixed precision, folded weights would be rounded instead of the weights.
        image > weights.elements() && lowering.precision() == Precision::Float32
    }

    /// Pushes the calls that fold the normalization: the new weights and bias.
    fn folded(&self, lowering: &mut Lowering) -> [Tensor; 2] {
        let BatchNormInference { epsilon, scale, center } = self.normalization;
        let (weights, columns) = (lowering.inputs()[1], lowering.shape(lowering.outputs()[0]).last().copied());
        let columns = columns.unwrap_or_default();
        let [mean, variance] = [0, 1].map(|at| lowering.inputs()[self.op.arity() + at]);
        let [gamma, beta] = self.normalization.gamma_and_beta(&lowering.inputs()[self.op.arity()..]);
        let (gamma, beta) = (gamma.unwrap_or(mean), beta.unwrap_or(mean));
        let bias = if self.op.has_bias() { lowering.inputs()[2] } else { mean };
        let folded_weights = lowering.scratch(lowering.ty(weights).clone());
        let folded_bias = lowering.scratch(TensorType::f32([columns]));
        let count = lowering.shape(weights).elements();
        let params = kernel::Params { count: count as u32, columns: columns as u32, epsilon };
        let overrides = kernel::Overrides { has_bias: self.op.has_bias(), scale, center };
        let of_weights = kernel::OfWeights { weights, variance, gamma, folded_weights };
        lowering.push(of_weights.call(params, overrides, linear_workgroups(count, 256)));
        let of_bias = kernel::OfBias { bias, mean, variance, gamma, beta, folded_bias };
        lowering.push(of_bias.call(params, overrides, linear_workgroups(columns, 256)));
        [folded_weights, folded_bias]
    }
}

impl<O: Convolution> Op for Normalized<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let wrong = || Error::inputs(self.name(), format!("{} tensors", self.arity()), inputs);
        let (own, others) = inputs.split_at_checked(self.op.arity()).ok_or_else(wrong)?;
        let outputs = self.op.infer(own)?;
        self.normalization.infer(&[&outputs[..1], others].concat())
    }

    fn pieces(&self) -> Pieces {
        self.op.pieces()
    }

    fn fuse(&self, next: &dyn Op, _: usize) -> Option<Arc<dyn Op>> {
        fused::fuse_activation(self, next)
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.lower_with(lowering, Epilogue::Plain)
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let (own, others) = inputs.split_at(self.op.arity());
        let results = self.op.reference(own, step);
        let results: Vec<&Array> = results.iter().chain(others.iter().copied()).collect();
        self.normalization.reference(&results, step)
    }
}

impl<O: Convolution> HasEpilogue for Normalized<O> {
    fn arity(&self) -> usize {
        self.op.arity() + self.normalization.arity() - 1
    }

    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()> {
        let (inputs, outputs) = (lowering.inputs().to_vec(), lowering.outputs().to_vec());
        if self.pays(lowering) {
            let [weights, bias] = self.folded(lowering);
            let inputs = vec![inputs[0], weights, bias];
            return lowering
                .with_tensors(inputs, outputs, |lowering| self.op.with_bias().lower_with(lowering, epilogue));
        }
        let result = lowering.scratch(lowering.ty(outputs[0]).clone());
        let (own, others) = inputs.split_at(self.op.arity());
        lowering.with_tensors(own.to_vec(), vec![result], |lowering| self.op.lower(lowering))?;
        let others = [&[result], others].concat();
        lowering.with_tensors(others, outputs, |lowering| self.normalization.lower_with(lowering, epilogue))
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, case: &dyn Fn(BatchNormInference) -> Case| {
        let number = cases.len();
        let normalization = BatchNormInference { epsilon: 1e-3, scale: number % 3 != 1, center: number % 3 != 2 };
        cases.push(Case { name, ..case(normalization) });
    };
    for (i, (name, x, weights, strides, padding, _)) in geometries().step_by(5).enumerate() {
        let op = Conv2d { strides, padding, bias: i % 2 == 0 };
        add(format!("conv2d and batch_norm {name}"), &|normalization| {
            case(op, normalization, [Array::random(x, 1), Array::random(weights, 2)], weights[3])
        });
    }
    for (i, geometry) in depthwise::geometries().step_by(4).enumerate() {
        let Geometry { name, x, kernel, strides, padding, dilation, .. } = geometry;
        let op = DepthwiseConv2d { strides, padding, dilation, bias: i % 2 == 0 };
        add(format!("depthwise_conv2d and batch_norm {name}"), &|normalization| {
            case(op, normalization, [Array::random(x, 1), Array::random(kernel, 2)], kernel[2])
        });
    }
    cases
}

/// A case of a convolution and its normalization.
fn case<O: Convolution>(op: O, normalization: BatchNormInference, inputs: [Array; 2], columns: usize) -> Case {
    let of_column = |seed| Array::random([columns], seed);
    let mut inputs = Vec::from(inputs);
    inputs.extend(op.has_bias().then(|| of_column(3)));
    inputs.extend([of_column(4), variances(columns)]);
    inputs.extend(normalization.scale.then(|| of_column(6)));
    inputs.extend(normalization.center.then(|| of_column(7)));
    Case::new(String::new(), Normalized { op, normalization }, inputs)
}
