use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Rescale;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::saved::{Saved, to_config};
use super::{Call, Expected, Layer};

/// `y = scale x + offset`.
///
/// # Shapes
/// Any; the same out as in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rescaling {
    /// The factor: `1.0 / 255.0` brings the values of an image to 0 to 1.
    pub scale: f64,
    /// What is added.
    #[serde(default)]
    pub offset: f64,
}

impl Rescaling {
    /// A layer that multiplies by this and adds nothing.
    pub fn new(scale: f64) -> Rescaling {
        Rescaling { scale, offset: 0.0 }
    }

    /// What is added.
    pub fn offset(self, offset: f64) -> Rescaling {
        Rescaling { offset, ..self }
    }
}

impl Layer for Rescaling {
    fn class_name(&self) -> &'static str {
        Self::CLASS_NAME
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, Expected> {
        Ok(input.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        call.add(Rescale { scale: self.scale as f32, offset: self.offset as f32 }, &[call.input()])
    }

    fn config(&self) -> Map<String, Value> {
        to_config(self)
    }
}

impl Saved for Rescaling {
    const CLASS_NAME: &'static str = "Rescaling";

    fn fixed() -> Value {
        json!({})
    }
}
