//! `y[n, c] = exp(x[n, c]) / sum over j of exp(x[n, j])`, and its logarithm.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::softmax as kernel;

/// Probabilities along the last axis: `[…, C] -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct Softmax;

/// `dx = y (dy - sum over c of dy y)`: `(y […, C], dy […, C]) -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxGradient;

/// Logarithms of probabilities along the last axis, `x - log(sum over j of exp(x[j]))`: `[…, C] -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax;

/// `dx = dy - exp(y) sum over c of dy`: `(y […, C], dy […, C]) -> […, C]`.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmaxGradient;

/// Which function of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Probability,
    Logarithm,
}

impl Form {
    fn overrides(self) -> kernel::Overrides {
        kernel::Overrides { logarithm: self == Form::Logarithm }
    }

    fn values(self, row: &[f64]) -> Vec<f64> {
        if row.iter().any(|x| x.is_nan()) {
            return vec![f64::NAN; row.len()];
        }
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|x| (x - largest).exp()).sum();
        match self {
            Form::Probability => row.iter().map(|x| (x - largest).exp() / total).collect(),
            Form::Logarithm => row.iter().map(|x| x - largest - total.ln()).collect(),
        }
    }

    fn slopes(self, y: &[f64], dy: &[f64]) -> Vec<f64> {
        let pairs = || y.iter().zip(dy);
        match self {
            Form::Probability => {
                let product: f64 = pairs().map(|(y, dy)| y * dy).sum();
                pairs().map(|(y, dy)| y * (dy - product)).collect()
            }
            Form::Logarithm => {
                let sum: f64 = dy.iter().sum();
                pairs().map(|(y, dy)| dy - y.exp() * sum).collect()
            }
        }
    }
}

fn params(lowering: &Lowering) -> (kernel::Params, [u32; 3]) {
    let shape = lowering.shape(lowering.outputs()[0]);
    let classes = shape.last().copied().unwrap_or(1).max(1);
    let rows = shape.elements() / classes;
    (kernel::Params { rows: rows as u32, classes: classes as u32 }, linear_workgroups(rows, 256))
}

/// The rows of an array along its last axis.
fn rows(array: &Array) -> std::slice::Chunks<'_, f64> {
    array.data.chunks(array.shape().last().copied().unwrap_or(1).max(1))
}

/// Implements an op and its gradient for a form.
macro_rules! forms {
    ($($Op:ident $name:literal, $Gradient:ident $gradient:literal: $form:ident;)*) => {
        $(
            impl Op for $Op {
                fn name(&self) -> &'static str {
                    $name
                }

                fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
                    match inputs {
                        [x] if x.dtype == DType::F32 && !x.shape.is_empty() => Ok(vec![x.clone()]),
                        _ => Err(Error::inputs(self.name(), "f32 […, C]", inputs)),
                    }
                }

                fn pieces(&self) -> Pieces {
                    Pieces::Samples
                }

                fn lower(&self, lowering: &mut Lowering) -> Result<()> {
                    let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
                    let (params, workgroups) = params(lowering);
                    lowering.push(kernel::Forward { x, y }.call(params, Form::$form.overrides(), workgroups));
                    Ok(())
                }

                fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
                    if let Some(dy) = gradient.output_gradient(0) {
                        let y = gradient.outputs()[0];
                        let dx = gradient.add($Gradient, &[y, dy])?;
                        gradient.set(0, dx);
                    }
                    Ok(())
                }

                fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
                    let y = rows(inputs[0]).flat_map(|row| Form::$form.values(row)).collect();
                    vec![Array::f32(inputs[0].shape().clone(), y)]
                }
            }

            impl Op for $Gradient {
                fn name(&self) -> &'static str {
                    $gradient
                }

                fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
                    match inputs {
                        [y, dy] if y == dy && y.dtype == DType::F32 => Ok(vec![y.clone()]),
                        _ => Err(Error::inputs(self.name(), "f32 (y […, C], dy […, C])", inputs)),
                    }
                }

                fn pieces(&self) -> Pieces {
                    Pieces::Samples
                }

                fn lower(&self, lowering: &mut Lowering) -> Result<()> {
                    let (probabilities, dy, dx) =
                        (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
                    let (params, workgroups) = params(lowering);
                    let tensors = kernel::Gradient { probabilities, dy, dx };
                    lowering.push(tensors.call(params, Form::$form.overrides(), workgroups));
                    Ok(())
                }

                fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
                    let pairs = rows(inputs[0]).zip(rows(inputs[1]));
                    let dx = pairs.flat_map(|(y, dy)| Form::$form.slopes(y, dy)).collect();
                    vec![Array::f32(inputs[0].shape().clone(), dx)]
                }
            }
        )*
    };
}

forms! {
    Softmax "softmax", SoftmaxGradient "softmax_gradient": Probability;
    LogSoftmax "log_softmax", LogSoftmaxGradient "log_softmax_gradient": Logarithm;
}

pub(crate) fn cases() -> Vec<Case> {
    let x = |dims: [usize; 2]| {
        let mut x = Array::random(dims, 1);
        x.data.iter_mut().for_each(|v| *v *= 8.0);
        vec![x]
    };
    let mut cases = Vec::new();
    for dims in [[1, 1], [3, 10], [257, 3], [2, 1000]] {
        cases.push(Case::new(format!("softmax {dims:?}"), Softmax, x(dims)).differentiable(&[0]));
        cases.push(Case::new(format!("log_softmax {dims:?}"), LogSoftmax, x(dims)).differentiable(&[0]));
    }
    cases
}
