//! y = f(x), element by element.

use kiln_graph::{Array, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::activation as kernel;
use crate::nan::{clamped, larger};

/// Keras' element-wise activation functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `x` for `x > 0`, else `exp(x) - 1`
    Elu,
    /// `x` for `x > 0`, else `0.2 x` (`keras.activations.leaky_relu`)
    LeakyRelu,
    /// `log(1 + exp(x))`
    Softplus,
    /// `1.0507 x` for `x > 0`, else `1.0507 * 1.6733 (exp(x) - 1)`
    Selu,
    /// `x/2 (1 + erf(x / sqrt 2))`
    Gelu,
    /// `x / (1 + exp(-x))`
    Swish,
    /// `x` for `x > 0`, else `exp(x) - 1` (`keras.activations.celu` with its `alpha` of 1)
    Celu,
    /// `exp(x)`
    Exponential,
    /// `x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`: the approximation of gelu
    GeluTanh,
    /// `-log(1 + exp(-x))`
    LogSigmoid,
    /// `x tanh(log(1 + exp(x)))`
    Mish,
    /// `x / (1 + |x|)`
    Softsign,
    /// `(x + sqrt(x² + 4)) / 2`
    Squareplus,
    /// `x - tanh(x)`
    TanhShrink,
    /// `x` for `|x| > 0.5`, else 0
    HardShrink,
    /// `min(max(x + 3, 0), 6) / 6`
    HardSigmoid,
    /// `x min(max(x + 3, 0), 6) / 6`
    HardSilu,
    /// `min(max(x, -1), 1)`
    HardTanh,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x - 0.5` for `x > 0.5`, `x + 0.5` for `x < -0.5`, else 0
    SoftShrink,
    /// 0 for `x <= -1`, `x` for `x >= 1`, else `(x + 1)² / 4`
    SparsePlus,
    /// 0 for `x <= -1`, 1 for `x >= 1`, else `(x + 1) / 2`
    SparseSigmoid,
}

impl Function {
    /// All of them.
    pub const ALL: [Function; 25] = [
        Function::Relu,
        Function::Sigmoid,
        Function::Tanh,
        Function::Elu,
        Function::LeakyRelu,
        Function::Softplus,
        Function::Selu,
        Function::Gelu,
        Function::Swish,
        Function::Celu,
        Function::Exponential,
        Function::GeluTanh,
        Function::LogSigmoid,
        Function::Mish,
        Function::Softsign,
        Function::Squareplus,
        Function::TanhShrink,
        Function::HardShrink,
        Function::HardSigmoid,
        Function::HardSilu,
        Function::HardTanh,
        Function::Relu6,
        Function::SoftShrink,
        Function::SparsePlus,
        Function::SparseSigmoid,
    ];

    /// Keras' name of it.
    pub fn name(self) -> &'static str {
        match self {
            Function::Relu => "relu",
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
            Function::Elu => "elu",
            Function::LeakyRelu => "leaky_relu",
            Function::Softplus => "softplus",
            Function::Selu => "selu",
            Function::Gelu => "gelu",
            Function::Swish => "swish",
            Function::Celu => "celu",
            Function::Exponential => "exponential",
            Function::GeluTanh => "gelu_tanh",
            Function::LogSigmoid => "log_sigmoid",
            Function::Mish => "mish",
            Function::Softsign => "softsign",
            Function::Squareplus => "squareplus",
            Function::TanhShrink => "tanh_shrink",
            Function::HardShrink => "hard_shrink",
            Function::HardSigmoid => "hard_sigmoid",
            Function::HardSilu => "hard_silu",
            Function::HardTanh => "hard_tanh",
            Function::Relu6 => "relu6",
            Function::SoftShrink => "soft_shrink",
            Function::SparsePlus => "sparse_plus",
            Function::SparseSigmoid => "sparse_sigmoid",
        }
    }

    /// The function of this name; `silu` is Keras 3's other name of `swish`, and `hard_swish` Keras' other name of
    /// `hard_silu`.
    pub fn from_name(name: &str) -> Option<Function> {
        let name = match name {
            "silu" => "swish",
            "hard_swish" => "hard_silu",
            name => name,
        };
        Function::ALL.into_iter().find(|function| function.name() == name)
    }

    fn code(self) -> u32 {
        match self {
            Function::Relu => kernel::RELU,
            Function::Sigmoid => kernel::SIGMOID,
            Function::Tanh => kernel::TANH,
            Function::Elu => kernel::ELU,
            Function::LeakyRelu => kernel::LEAKY_RELU,
            Function::Softplus => kernel::SOFTPLUS,
            Function::Selu => kernel::SELU,
            Function::Gelu => kernel::GELU,
            Function::Swish => kernel::SWISH,
            Function::Celu => kernel::CELU,
            Function::Exponential => kernel::EXPONENTIAL,
            Function::GeluTanh => kernel::GELU_TANH,
            Function::LogSigmoid => kernel::LOG_SIGMOID,
            Function::Mish => kernel::MISH,
            Function::Softsign => kernel::SOFTSIGN,
            Function::Squareplus => kernel::SQUAREPLUS,
            Function::TanhShrink => kernel::TANH_SHRINK,
            Function::HardShrink => kernel::HARD_SHRINK,
            Function::HardSigmoid => kernel::HARD_SIGMOID,
            Function::HardSilu => kernel::HARD_SILU,
            Function::HardTanh => kernel::HARD_TANH,
            Function::Relu6 => kernel::RELU6,
            Function::SoftShrink => kernel::SOFT_SHRINK,
            Function::SparsePlus => kernel::SPARSE_PLUS,
            Function::SparseSigmoid => kernel::SPARSE_SIGMOID,
        }
    }

    /// Whether the slope follows from `y`, so that `x` need not be kept.
    fn slope_follows_from_output(self) -> bool {
        matches!(
            self,
            Function::Relu
                | Function::Sigmoid
                | Function::Tanh
                | Function::Elu
                | Function::LeakyRelu
                | Function::Softplus
                | Function::Selu
                | Function::Celu
                | Function::Exponential
                | Function::Relu6
        )
    }

    /// Whether the slope is constant or linear between a few points. Where it is 0, so is the gradient, even for
    /// infinite `dy`.
    fn is_piecewise(self) -> bool {
        self.code() >= kernel::HARD_SHRINK
    }

    fn value(self, x: f64) -> f64 {
        match self {
            Function::Relu => larger(x, 0.0),
            Function::Sigmoid => sigmoid(x),
            Function::Tanh => x.tanh(),
            Function::Elu | Function::Celu => {
                if x > 0.0 {
                    x
                } else {
                    x.exp_m1()
                }
            }
            Function::LeakyRelu => {
                if x > 0.0 {
                    x
                } else {
                    0.2 * x
                }
            }
            Function::Softplus => softplus(x),
            Function::Selu => SELU_SCALE * if x > 0.0 { x } else { SELU_ALPHA * x.exp_m1() },
            Function::Gelu => 0.5 * x * (1.0 + erf(x * 0.5f64.sqrt())),
            Function::Swish => x * sigmoid(x),
            Function::Exponential => x.exp(),
            Function::GeluTanh => 0.5 * x * (1.0 + gelu_tanh(x)),
            Function::LogSigmoid => -softplus(-x),
            Function::Mish => x * softplus(x).tanh(),
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Squareplus => 0.5 * (x + (x * x + 4.0).sqrt()),
            Function::TanhShrink => x - x.tanh(),
            Function::HardShrink if x.abs() <= 0.5 => 0.0,
            Function::HardShrink => x,
            Function::HardSigmoid => clamped(x + 3.0, 0.0, 6.0) / 6.0,
            Function::HardSilu => x * clamped(x + 3.0, 0.0, 6.0) / 6.0,
            Function::HardTanh => clamped(x, -1.0, 1.0),
            Function::Relu6 => clamped(x, 0.0, 6.0),
            Function::SoftShrink => x - clamped(x, -0.5, 0.5),
            Function::SparsePlus if x.abs() < 1.0 => 0.25 * (x + 1.0) * (x + 1.0),
            Function::SparsePlus => larger(x, 0.0),
            Function::SparseSigmoid => 0.5 * (clamped(x, -1.0, 1.0) + 1.0),
        }
    }

    /// `dy f'`, from what [`Function::slope_follows_from_output`] says. A closed rectifier passes 0, whatever arrives.
    fn passed(self, v: f64, dy: f64) -> f64 {
        match self {
            _ if v.is_nan() || dy.is_nan() => f64::NAN,
            Function::Relu => {
                if v > 0.0 {
                    dy
                } else {
                    0.0
                }
            }
            _ if self.is_piecewise() && self.slope(v) == 0.0 => 0.0,
            _ => dy * self.slope(v),
        }
    }

    /// The slope, from what [`Function::slope_follows_from_output`] says.
    fn slope(self, v: f64) -> f64 {
        match self {
            Function::Relu => {
                if v > 0.0 {
                    1.0
                } else {
                    0.0
                }
            }
            Function::Sigmoid => v * (1.0 - v),
            Function::Tanh => 1.0 - v * v,
            Function::Elu | Function::Celu => {
                if v > 0.0 {
                    1.0
                } else {
                    v + 1.0
                }
            }
            Function::LeakyRelu => {
                if v > 0.0 {
                    1.0
                } else {
                    0.2
                }
            }
            Function::Softplus => -(-v).exp_m1(),
            Function::Selu => {
                if v > 0.0 {
                    SELU_SCALE
                } else {
                    v + SELU_SCALE * SELU_ALPHA
                }
            }
            Function::Gelu => {
                let density = (-0.5 * v * v).exp() / (2.0 * std::f64::consts::PI).sqrt();
                0.5 * (1.0 + erf(v * 0.5f64.sqrt())) + v * density
            }
            Function::Swish => sigmoid(v) * (1.0 + v * (1.0 - sigmoid(v))),
            Function::Exponential => v,
            Function::GeluTanh => {
                let t = gelu_tanh(v);
                0.5 * (1.0 + t) + 0.5 * v * (1.0 - t * t) * gelu_scale() * (1.0 + 3.0 * GELU_CUBIC * v * v)
            }
            Function::LogSigmoid => sigmoid(-v),
            Function::Mish => {
                let t = softplus(v).tanh();
                t + v * sigmoid(v) * (1.0 - t * t)
            }
            Function::Softsign => (1.0 + v.abs()).powi(-2),
            Function::Squareplus => 0.5 * (1.0 + v / (v * v + 4.0).sqrt()),
            Function::TanhShrink => v.tanh().powi(2),
            Function::HardShrink | Function::SoftShrink => of(v.abs() > 0.5),
            Function::HardSigmoid => of(v.abs() < 3.0) / 6.0,
            Function::HardSilu => clamped(v + 3.0, 0.0, 6.0) / 6.0 + v * of(v.abs() < 3.0) / 6.0,
            Function::HardTanh => of(v.abs() <= 1.0),
            Function::Relu6 => of(v > 0.0 && v < 6.0),
            Function::SparsePlus => clamped(0.5 * (v + 1.0), 0.0, 1.0),
            Function::SparseSigmoid => 0.5 * of(v.abs() < 1.0),
        }
    }
}

/// `λ` and `α` of Klambauer et al. 2017, "Self-Normalizing Neural Networks", equation 14: with them, mean 0 and variance 1 are
/// a fixed point, `α = -sqrt(2/π) / (erfc(1/√2) exp(1/2) - 1)` and
/// `λ = (1 - erfc(1/√2) √e) √(2π) (2 erfc(√2) e² + π erfc(1/√2)² e - 2 (2 + π) erfc(1/√2) √e + π + 2)^(-1/2)`.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

const GELU_CUBIC: f64 = 0.044715;

fn gelu_scale() -> f64 {
    std::f64::consts::FRAC_2_PI.sqrt()
}

fn gelu_tanh(x: f64) -> f64 {
    (gelu_scale() * (x + GELU_CUBIC * x * x * x)).tanh()
}

fn softplus(x: f64) -> f64 {
    larger(x, 0.0) + (-x.abs()).exp().ln_1p()
}

/// 1 or 0.
fn of(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `2/sqrt(pi) sum over n of (-1)^n x^(2n+1) / (n! (2n+1))`, exact enough in f64 for |x| < 4.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut total = x;
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        total += term / f64::from(2 * n + 1);
    }
    if x.abs() < 4.0 { total * 2.0 / std::f64::consts::PI.sqrt() } else { x.signum() }
}

/// `y = f(x)`: `[…] -> […]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// Which `f`.
    pub function: Function,
}

impl Op for Activation {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "one tensor", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let form = lowering.form([count]);
        let overrides = kernel::Overrides { function: self.function.code() };
        let params = kernel::Params { count: form.units(count) as u32 };
        lowering.push(kernel::Forward { x, y }.call(
            form,
            params,
            overrides,
            linear_workgroups(form.units(count), 256),
        ));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let kept = match self.function.slope_follows_from_output() {
                true => gradient.outputs()[0],
                false => gradient.inputs()[0],
            };
            let dx = gradient.add(ActivationGradient { function: self.function }, &[kept, dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let y = inputs[0].data.iter().map(|&x| self.function.value(x)).collect();
        vec![Array::f32(inputs[0].shape().clone(), y)]
    }
}

/// `dx = dy f'`, with `f'` from `y` or, where it does not follow from `y`, from `x`: `([…], […]) -> […]`. Where a rectifier or
/// another piecewise function is flat, `dx` is 0 even if `dy` is infinite.
#[derive(Clone, Copy, Debug)]
pub struct ActivationGradient {
    /// Which `f`.
    pub function: Function,
}

impl Op for ActivationGradient {
    fn name(&self) -> &'static str {
        "activation_gradient"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [kept, dy] if kept == dy => Ok(vec![dy.clone()]),
            _ => Err(Error::inputs(self.name(), "two tensors of one shape", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, dy, dx) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let form = lowering.form([count]);
        let overrides = kernel::Overrides { function: self.function.code() };
        let params = kernel::Params { count: form.units(count) as u32 };
        lowering.push(kernel::Gradient { x, dy, dx }.call(
            form,
            params,
            overrides,
            linear_workgroups(form.units(count), 256),
        ));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let pairs = inputs[0].data.iter().zip(&inputs[1].data);
        let dx = pairs.map(|(&v, &dy)| self.function.passed(v, dy)).collect();
        vec![Array::f32(inputs[0].shape().clone(), dx)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for function in Function::ALL {
        for count in [1, 3, 257, 260] {
            let mut x = Array::random([count], 7);
            x.data.iter_mut().for_each(|v| *v *= 4.0);
            let op = Activation { function };
            cases
                .push(Case::new(format!("activation {} [{count}]", function.name()), op, vec![x]).differentiable(&[0]));
        }
    }
    cases
}
