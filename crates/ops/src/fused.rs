//! Fused epilogues: a rectifier after a product or a normalization, or its gradient after a product or a pooling, needs
//! no pass over memory.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, Tensor, TensorType};

use crate::activation::{Activation, ActivationGradient, Function};
use crate::batch_norm::{BatchNorm, BatchNormInference, variances};
use crate::case::Case;
use crate::conv2d::{Conv2d, geometries};
use crate::conv2d_input_gradient::Conv2dInputGradient;
use crate::conv2d_transpose::Conv2dTranspose;
use crate::depthwise::{self, Geometry};
use crate::depthwise_conv2d::DepthwiseConv2d;
use crate::depthwise_conv2d_input_gradient::DepthwiseConv2dInputGradient;
use crate::kernels::{lib, matmul as kernel};
use crate::matmul::Matmul;
use crate::max_pool2d::{MaxPool2d, MaxPool2dGradient};
use crate::window::Padding;

/// The function applied to a value before it is stored, as in `shaders/lib/epilogue.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epilogue {
    /// None.
    Plain,
    /// A rectifier.
    Rectifier(Rectifier),
    /// The gradient of a rectifier: `v` where this tensor, its output, is within its slope, else 0.
    Gradient(Rectifier, Tensor),
}

/// A rectifier that kernels can apply before they store a value. Its gradient follows from its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rectifier {
    /// `max(v, 0)`
    Relu,
    /// `min(max(v, 0), 6)`
    Relu6,
}

impl Rectifier {
    fn of(function: Function) -> Option<Rectifier> {
        match function {
            Function::Relu => Some(Rectifier::Relu),
            Function::Relu6 => Some(Rectifier::Relu6),
            _ => None,
        }
    }

    fn function(self) -> Function {
        match self {
            Rectifier::Relu => Function::Relu,
            Rectifier::Relu6 => Function::Relu6,
        }
    }
}

impl Epilogue {
    /// The overrides of `shaders/lib/epilogue.wgsl`.
    pub(crate) fn overrides(self) -> lib::epilogue::Overrides {
        let epilogue = match self {
            Epilogue::Plain => kernel::PLAIN,
            Epilogue::Rectifier(Rectifier::Relu) => kernel::RELU,
            Epilogue::Rectifier(Rectifier::Relu6) => kernel::RELU6,
            Epilogue::Gradient(Rectifier::Relu, _) => kernel::RELU_GRADIENT,
            Epilogue::Gradient(Rectifier::Relu6, _) => kernel::RELU6_GRADIENT,
        };
        lib::epilogue::Overrides { epilogue }
    }

    /// Replaces the gates, if any, by a part of them.
    pub(crate) fn map_gates(self, part: impl FnOnce(Tensor) -> Tensor) -> Epilogue {
        match self {
            Epilogue::Gradient(rectifier, gates) => Epilogue::Gradient(rectifier, part(gates)),
            other => other,
        }
    }

    /// The tensor bound as the gates: `unread` if there are none.
    pub(crate) fn gates(self, unread: Tensor) -> Tensor {
        match self {
            Epilogue::Gradient(_, gates) => gates,
            _ => unread,
        }
    }
}

/// An op whose kernels support an epilogue of the first output.
pub(crate) trait HasEpilogue: Op + Copy {
    /// The number of its inputs.
    fn arity(&self) -> usize;

    /// As [`Op::lower`], with an epilogue. Inputs beyond the op's own are the epilogue's.
    ///
    /// # Errors
    /// As [`Op::lower`].
    fn lower_with(&self, lowering: &mut Lowering, epilogue: Epilogue) -> Result<()>;
}

/// Fuses the op with the next one, if that is a rectifier, or the gradient of one, with the op's output as input `at`.
pub(crate) fn fuse<O: HasEpilogue>(op: &O, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
    let gradient: Option<&ActivationGradient> = (next as &dyn Any).downcast_ref().filter(|_| at == 1);
    match gradient.and_then(|gradient| Rectifier::of(gradient.function)) {
        Some(rectifier) => Some(Arc::new(Fused { op: *op, behind: Behind::Gradient(rectifier) })),
        None => fuse_activation(op, next),
    }
}

/// As [`fuse`], for an op that is never followed by a gradient.
pub(crate) fn fuse_activation<O: HasEpilogue>(op: &O, next: &dyn Op) -> Option<Arc<dyn Op>> {
    let next: &Activation = (next as &dyn Any).downcast_ref()?;
    let rectifier = Rectifier::of(next.function)?;
    Some(Arc::new(Fused { op: *op, behind: Behind::Activation(rectifier) }))
}

#[derive(Clone, Copy, Debug)]
enum Behind {
    Activation(Rectifier),
    /// Has one more input: the rectifier's output.
    Gradient(Rectifier),
}

/// An op with its epilogue.
#[derive(Clone, Copy, Debug)]
struct Fused<O> {
    op: O,
    behind: Behind,
}

impl<O: HasEpilogue> Fused<O> {
    fn arity(&self) -> usize {
        match self.behind {
            Behind::Activation(_) => self.op.arity(),
            Behind::Gradient(_) => self.op.arity() + 1,
        }
    }
}

impl<O: HasEpilogue> Op for Fused<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let wrong = || Error::inputs(self.name(), format!("{} tensors", self.arity()), inputs);
        let (own, gates) = inputs.split_at_checked(self.op.arity()).ok_or_else(wrong)?;
        let outputs = self.op.infer(own)?;
        let fit = match self.behind {
            Behind::Activation(_) => gates.is_empty(),
            Behind::Gradient(_) => gates == outputs,
        };
        if fit { Ok(outputs) } else { Err(wrong()) }
    }

    fn pieces(&self) -> Pieces {
        match (self.op.pieces(), self.behind) {
            (Pieces::SamplesOf(mut cut), Behind::Gradient(_)) => {
                cut.push(self.op.arity());
                Pieces::SamplesOf(cut)
            }
            (pieces, _) => pieces,
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let epilogue = match self.behind {
            Behind::Activation(rectifier) => Epilogue::Rectifier(rectifier),
            Behind::Gradient(rectifier) => Epilogue::Gradient(rectifier, lowering.inputs()[self.op.arity()]),
        };
        self.op.lower_with(lowering, epilogue)
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let (own, gates) = inputs.split_at(self.op.arity());
        let mut given = self.op.reference(own, step);
        let rest = given.split_off(given.len().min(1));
        let given: Vec<&Array> = given.iter().collect();
        let finished = match self.behind {
            Behind::Activation(rectifier) => Activation { function: rectifier.function() }.reference(&given, step),
            Behind::Gradient(rectifier) => {
                let gradient = ActivationGradient { function: rectifier.function() };
                gradient.reference(&[gates, &given].concat(), step)
            }
        };
        finished.into_iter().chain(rest).collect()
    }
}

/// The rectifier of a case: both in turn.
fn rectifier(number: usize) -> Rectifier {
    if number.is_multiple_of(2) { Rectifier::Relu } else { Rectifier::Relu6 }
}

/// An op on these inputs with each of the epilogues of a rectifier. The gradient's gates are random, and some are 0 or 6.
fn both<O: HasEpilogue>(name: &str, op: O, inputs: &[Array], rectifier: Rectifier) -> Vec<Case> {
    let types: Vec<TensorType> = inputs.iter().map(|input| input.ty.clone()).collect();
    let gates = op.infer(&types).unwrap_or_default().into_iter().map(|ty| {
        let mut gates = times(&Array::random(ty.shape, 9), 8.0);
        gates.data.iter_mut().step_by(5).for_each(|gate| *gate = 0.0);
        gates.data.iter_mut().step_by(7).for_each(|gate| *gate = 6.0);
        gates
    });
    let activation = behind_activation(name, op, inputs, rectifier);
    let inputs = inputs.iter().cloned().chain(gates).collect();
    let gradient = Fused { op, behind: Behind::Gradient(rectifier) };
    vec![activation, Case::new(format!("{name}, {} gradient", rectifier.function().name()), gradient, inputs)]
}

/// An op on these inputs, of which the first is scaled so that results reach 8 or -8, followed by a rectifier.
fn behind_activation<O: HasEpilogue>(name: &str, op: O, inputs: &[Array], rectifier: Rectifier) -> Case {
    let results = op.reference(&inputs.iter().collect::<Vec<_>>(), &Step::default());
    let largest = results.iter().take(1).flat_map(|y| &y.data).fold(0.0f64, |largest, value| largest.max(value.abs()));
    let factor = if largest > 0.0 { 8.0 / largest } else { 1.0 };
    let inputs = inputs.iter().enumerate().map(|(at, x)| if at == 0 { times(x, factor) } else { x.clone() });
    let behind = Behind::Activation(rectifier);
    Case::new(format!("{name}, {}", rectifier.function().name()), Fused { op, behind }, inputs.collect())
}

fn times(values: &Array, factor: f64) -> Array {
    Array { data: values.data.iter().map(|value| (factor * value) as f32 as f64).collect(), ..values.clone() }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // A subset, because drivers compile each; other cases cover all geometries.
    for (i, (name, x, kernel, strides, padding, window)) in geometries().step_by(7).enumerate() {
        let bias = i % 2 == 0;
        let weights = Array::random(kernel, 2);
        let mut inputs = vec![Array::random(x, 1), weights.clone()];
        inputs.extend(bias.then(|| Array::random([kernel[3]], 3)));
        cases.extend(both(&format!("conv2d {name}"), Conv2d { strides, padding, bias }, &inputs, rectifier(i)));
        let dy = Array::random([x[0], window.out[0], window.out[1], kernel[3]], 1);
        let op = Conv2dInputGradient { strides, padding, image: [x[1], x[2]] };
        cases.extend(both(&format!("conv2d_input_gradient {name}"), op, &[dy.clone(), weights.clone()], rectifier(i)));
        let op = Conv2dTranspose { strides, padding, image: [x[1], x[2]], bias: true };
        let name = format!("conv2d_transpose {name}");
        cases.push(behind_activation(&name, op, &[dy, weights, Array::random([kernel[2]], 3)], rectifier(i)));
    }
    for (i, geometry) in depthwise::geometries().step_by(5).enumerate() {
        let Geometry { name, x, kernel, strides, padding, dilation, window } = geometry;
        let (image, weights) = ([x[1], x[2]], Array::random(kernel, 2));
        let op = DepthwiseConv2d { strides, padding, dilation, bias: false };
        cases.extend(both(
            &format!("depthwise_conv2d {name}"),
            op,
            &[Array::random(x, 1), weights.clone()],
            rectifier(i),
        ));
        let dy = Array::random(window.result(x[0], x[3]).shape, 1);
        let op = DepthwiseConv2dInputGradient { strides, padding, dilation, image };
        cases.extend(both(&format!("depthwise_conv2d_input_gradient {name}"), op, &[dy, weights], rectifier(i)));
    }
    for [m, k, n] in [[33, 12, 40], [3, 20, 257]] {
        for (i, (transpose_a, transpose_b)) in [(false, false), (false, true), (true, false)].into_iter().enumerate() {
            let a = Array::random(if transpose_a { [k, m] } else { [m, k] }, 1);
            let b = Array::random(if transpose_b { [n, k] } else { [k, n] }, 2);
            let bias = k == 12;
            let inputs: Vec<Array> = [a, b].into_iter().chain(bias.then(|| Array::random([n], 3))).collect();
            let name = format!("matmul {m}x{k}x{n}, transposed {transpose_a} {transpose_b}");
            cases.extend(both(&name, Matmul { transpose_a, transpose_b, bias }, &inputs, rectifier(i + m)));
        }
    }
    for (i, (size, channels)) in [(2, 3), (3, 17)].into_iter().enumerate() {
        let pool = MaxPool2d { pool_size: [size, size], strides: [2, 2], padding: Padding::Valid };
        let (x, dy) = (Array::random([2, 7, 9, channels], 1), Array::random([2, 3, 4, channels], 2));
        let name = format!("max_pool2d_gradient {size}x{size} of {channels} channels");
        cases.extend(both(&name, MaxPool2dGradient { pool }, &[x, dy], rectifier(i)));
    }
    let (x, each) = (Array::random([3, 4, 5, 17], 1), |seed| Array::random([17], seed));
    let op = BatchNorm { epsilon: 1e-3, scale: true, center: true };
    cases.push(behind_activation("batch_norm", op, &[x.clone(), each(2), each(3)], Rectifier::Relu));
    let op = BatchNormInference { epsilon: 1e-3, scale: false, center: true };
    cases.push(behind_activation("batch_norm_inference", op, &[x, each(4), variances(17), each(3)], Rectifier::Relu6));
    cases
}
