//! The op as a layer: `model.add(Mish)`.

use kiln::graph::{Result, Shape, Tensor};
use kiln::layers::{BuildError, Call, Layer};
use kiln::serde_json::{Map, Value};

use crate::mish::Mish;

impl Layer for Mish {
    fn class_name(&self) -> &'static str {
        "Mish"
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
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
