use kiln_graph::{Result, Shape, Tensor};
use kiln_ops as ops;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::saved::{Saved, to_config};
use super::{Call, Expected, Layer};

/// `y = x / (1 - rate)` with probability `1 - rate`, else 0, drawn for each value and each step of a training; else
/// `y = x` (Srivastava et al. 2014, inverted as in Keras).
///
/// # Shapes
/// Any; the same out as in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// The share of the values that is dropped, below 1.
    pub rate: f64,
}

impl Dropout {
    /// A layer that drops this share of the values, 0 or more and below 1.
    pub fn new(rate: f64) -> Dropout {
        Dropout { rate }
    }
}

impl Layer for Dropout {
    fn class_name(&self) -> &'static str {
        Self::CLASS_NAME
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, Expected> {
        match (0.0..1.0).contains(&self.rate) {
            true => Ok(input.clone()),
            false => Err(Expected(format!("a rate of 0 or more and below 1, not {}", self.rate))),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        if !call.training() || self.rate == 0.0 {
            return Ok(call.input());
        }
        call.add(ops::Dropout { rate: self.rate as f32, stream: call.stream() }, &[call.input()])
    }

    fn is_random(&self) -> bool {
        self.rate > 0.0
    }

    fn config(&self) -> Map<String, Value> {
        to_config(self)
    }

    fn has_build_config(&self) -> bool {
        false
    }
}

impl Saved for Dropout {
    const CLASS_NAME: &'static str = "Dropout";

    fn fixed() -> Value {
        json!({"seed": null, "noise_shape": null})
    }
}
