//! The layers that networks of `keras.applications` define for themselves.

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Binary;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dropout::drop_values;
use super::merge::{combine, combined_shape};
use super::saved::Saved;
use super::{BuildError, Call, Initializer, Layer, Variable};

/// `y = x_1 + scale x_2`, element by element: the residual connections of InceptionResNetV2.
///
/// # Shapes
/// In: two inputs whose axes, from the last one, are equal or 1. Out: the larger of the extents of each axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomScaleLayer {
    /// The factor of the second input.
    pub scale: f64,
}

impl CustomScaleLayer {
    /// A layer with this factor of the second input.
    pub fn new(scale: f64) -> CustomScaleLayer {
        CustomScaleLayer { scale }
    }
}

impl Layer for CustomScaleLayer {
    saved_layer!();

    fn output_shape(&self, _: &Shape) -> std::result::Result<Shape, BuildError> {
        Err(BuildError::input("two inputs"))
    }

    fn merged_shape(&self, inputs: &[Shape]) -> std::result::Result<Shape, BuildError> {
        match inputs {
            [_, _] => combined_shape(inputs),
            _ => self.output_shape(&Shape::default()),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let &[x, y] = call.inputs() else { return Ok(call.input()) };
        combine(call, Binary::Linear { a: 1.0, b: self.scale as f32 }, [x, y])
    }
}

impl Saved for CustomScaleLayer {
    const MODULE: &'static str = "keras.src.applications.inception_resnet_v2";

    fn fixed() -> Value {
        json!({})
    }
}

/// `y = gamma x`, with a learned `gamma` for each channel (Touvron et al. 2021): the end of ConvNeXt's blocks.
///
/// # Shapes
/// In: `[..., channels]`. Out: the same. Variable: `gamma [channels]`, which Keras names `variable`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerScale {
    /// The initial `gamma`.
    pub init_values: f64,
    /// The number of channels.
    pub projection_dim: usize,
}

impl LayerScale {
    /// A layer with this initial `gamma` for this number of channels.
    pub fn new(init_values: f64, projection_dim: usize) -> LayerScale {
        LayerScale { init_values, projection_dim }
    }
}

impl Layer for LayerScale {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match input.last() {
            Some(&channels) if channels == self.projection_dim => Ok(input.clone()),
            Some(channels) => {
                let expected = format!("{channels}, the channels of the input");
                Err(BuildError::argument("projection_dim", expected, self.projection_dim))
            }
            None => Err(BuildError::input("an input [..., channels]")),
        }
    }

    fn variables(&self, _: &Shape) -> Vec<Variable> {
        vec![Variable::new("variable", [self.projection_dim], Initializer::constant(self.init_values))]
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let &[gamma] = call.variables() else { return Ok(call.input()) };
        let mut shape = vec![1; call.shape(call.input()).len()];
        if let Some(channels) = shape.last_mut() {
            *channels = self.projection_dim;
        }
        let gamma = call.reshape(gamma, shape)?;
        call.add(Binary::Multiply, &[call.input(), gamma])
    }
}

impl Saved for LayerScale {
    const MODULE: &'static str = "keras.src.applications.convnext";

    fn fixed() -> Value {
        json!({})
    }
}

/// `y = x / (1 - drop_path_rate)` with probability `1 - drop_path_rate`, else 0, drawn for each sample and each training
/// step; outside of training `y = x` (Huang et al. 2016): the residual branches of ConvNeXt.
///
/// # Shapes
/// Any; the output has the shape of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StochasticDepth {
    /// The share of the samples that is dropped, 0 to 1. The draws differ from Keras'.
    pub drop_path_rate: f64,
}

impl StochasticDepth {
    /// A layer that drops this share of the samples, 0 to 1.
    pub fn new(drop_path_rate: f64) -> StochasticDepth {
        StochasticDepth { drop_path_rate }
    }
}

impl Layer for StochasticDepth {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match (0.0..=1.0).contains(&self.drop_path_rate) {
            true => Ok(input.clone()),
            false => Err(BuildError::argument("drop_path_rate", "0 to 1", self.drop_path_rate)),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let mut drawn = vec![1; call.shape(call.input()).len()];
        if let (Some(samples), Some(&batch)) = (drawn.first_mut(), call.shape(call.input()).first()) {
            *samples = batch;
        }
        drop_values(call, self.drop_path_rate, call.stream(), drawn.into())
    }

    fn is_random(&self) -> bool {
        self.drop_path_rate > 0.0
    }
}

impl Saved for StochasticDepth {
    const MODULE: &'static str = "keras.src.applications.convnext";

    fn fixed() -> Value {
        json!({})
    }
}
