//! The op as a layer: `model.add(Mish)`.

use kiln::graph::{Result, Shape, Tensor};
use kiln::layers::{Call, Expected, Layer};
use kiln::serde_json::{Map, Value};

use crate::mish::Mish;

impl Layer for Mish {
    fn class_name(&self) -> &'static str {
        "Mish"
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, Expected> {
        Ok(input.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let x = call.input();
        call.add(Mish, &[x])
    }

    fn config(&self) -> Map<String, Value> {
        Map::new()
    }
}
