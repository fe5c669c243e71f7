//! Activation functions with arguments, as layers.

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{Activation, Elu, Function, Relu};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y = min(x, max_value)` for `x > threshold`, else `negative_slope (x - threshold)`.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReLU {
    /// The upper bound of the output, 0 or more, if any.
    #[serde(default)]
    pub max_value: Option<f64>,
    /// The slope below the threshold, 0 or more.
    #[serde(default)]
    pub negative_slope: f64,
    /// The threshold above which values pass, 0 or more.
    #[serde(default)]
    pub threshold: f64,
}

impl ReLU {
    /// `y = max(x, 0)`, Keras' default.
    pub fn new() -> ReLU {
        ReLU::default()
    }

    /// Sets the upper bound of the output.
    pub fn max_value(self, max_value: f64) -> ReLU {
        ReLU { max_value: Some(max_value), ..self }
    }

    /// Sets the slope below the threshold.
    pub fn negative_slope(self, negative_slope: f64) -> ReLU {
        ReLU { negative_slope, ..self }
    }

    /// Sets the threshold above which values pass.
    pub fn threshold(self, threshold: f64) -> ReLU {
        ReLU { threshold, ..self }
    }

    pub(crate) fn apply(self, call: &mut Call<'_>, x: Tensor) -> Result<Tensor> {
        // Kernels of other ops can compute these at once.
        let function = match self {
            _ if self == ReLU::default() => Some(Function::Relu),
            _ if self == ReLU::default().max_value(6.0) => Some(Function::Relu6),
            _ => None,
        };
        if let Some(function) = function {
            return call.add(Activation { function }, &[x]);
        }
        let max_value = self.max_value.map_or(f32::INFINITY, |max_value| max_value as f32);
        let [threshold, negative_slope] = [self.threshold, self.negative_slope].map(|value| value as f32);
        call.add(Relu { max_value, threshold, negative_slope }, &[x])
    }
}

/// Returns the input's shape if these arguments are 0 or more.
fn checked<const N: usize>(
    input: &Shape,
    arguments: [(&'static str, f64); N],
) -> std::result::Result<Shape, BuildError> {
    match arguments.into_iter().find(|(_, value)| value.is_nan() || *value < 0.0) {
        Some((name, value)) => Err(BuildError::argument(name, "0 or more", value)),
        None => Ok(input.clone()),
    }
}

impl Layer for ReLU {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let max_value = ("max_value", self.max_value.unwrap_or_default());
        checked(input, [max_value, ("negative_slope", self.negative_slope), ("threshold", self.threshold)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        self.apply(call, call.input())
    }
}

impl Saved for ReLU {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}

/// `y = x` for `x > 0`, else `negative_slope x`.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeakyReLU {
    /// The slope for negative values, 0 or more; alpha in Keras 2.
    #[serde(default = "leaky_slope")]
    pub negative_slope: f64,
}

impl LeakyReLU {
    /// A layer with this slope for negative values. Keras' default is 0.3.
    pub fn new(negative_slope: f64) -> LeakyReLU {
        LeakyReLU { negative_slope }
    }

    pub(crate) fn apply(self, call: &mut Call<'_>, x: Tensor) -> Result<Tensor> {
        let negative_slope = self.negative_slope as f32;
        call.add(Relu { max_value: f32::INFINITY, threshold: 0.0, negative_slope }, &[x])
    }
}

impl Default for LeakyReLU {
    fn default() -> LeakyReLU {
        LeakyReLU::new(leaky_slope())
    }
}

fn leaky_slope() -> f64 {
    0.3
}

impl Layer for LeakyReLU {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        checked(input, [("negative_slope", self.negative_slope)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        self.apply(call, call.input())
    }
}

impl Saved for LeakyReLU {
    const HAS_BUILD_CONFIG: bool = false;
    const OLD_NAMES: &'static [(&'static str, &'static str)] = &[("alpha", "negative_slope")];

    fn fixed() -> Value {
        json!({})
    }
}

/// `y = x` for `x > 0`, else `alpha (exp(x) - 1)` (Clevert et al. 2016).
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ELU {
    /// `y` tends to `-alpha` for negative `x`; 0 or more.
    #[serde(default = "elu_alpha")]
    pub alpha: f64,
}

impl ELU {
    /// A layer with this scale of its negative part. Keras' default is 1.
    pub fn new(alpha: f64) -> ELU {
        ELU { alpha }
    }

    pub(crate) fn apply(self, call: &mut Call<'_>, x: Tensor) -> Result<Tensor> {
        call.add(Elu { alpha: self.alpha as f32 }, &[x])
    }
}

impl Default for ELU {
    fn default() -> ELU {
        ELU::new(elu_alpha())
    }
}

fn elu_alpha() -> f64 {
    1.0
}

impl Layer for ELU {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        checked(input, [("alpha", self.alpha)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        self.apply(call, call.input())
    }
}

impl Saved for ELU {
    const HAS_BUILD_CONFIG: bool = false;

    fn fixed() -> Value {
        json!({})
    }
}
