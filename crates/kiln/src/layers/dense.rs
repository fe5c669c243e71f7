use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Matmul;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{Activation, BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable};

/// `y = f(x W + b)` along the last axis.
///
/// # Shapes
/// In: `[..., features]`. Out: `[..., units]`. Variables: `kernel` `[features, units]`, `bias` `[units]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// The size of the last output axis.
    pub units: usize,
    /// The function `f`.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias `b`.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// The initializer of the kernel.
    #[serde(default = "Initializer::glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// The initializer of the bias.
    #[serde(default = "Initializer::zeros")]
    pub bias_initializer: Initializer,
    /// The regularizer of the kernel.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// The regularizer of the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// The constraint of the kernel, applied after each step.
    #[serde(default)]
    pub kernel_constraint: Option<Constraint>,
    /// The constraint of the bias, applied after each step.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl Dense {
    /// A dense layer with Keras' defaults: a bias, and no activation.
    pub fn new(units: usize) -> Dense {
        Dense {
            units,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::glorot_uniform(),
            bias_initializer: Initializer::zeros(),
            kernel_regularizer: None,
            bias_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
        }
    }

    /// Sets the activation function `f`.
    pub fn activation(self, activation: impl Into<Activation>) -> Dense {
        Dense { activation: activation.into(), ..self }
    }

    /// Sets whether there is a bias `b`.
    pub fn use_bias(self, use_bias: bool) -> Dense {
        Dense { use_bias, ..self }
    }

    /// Sets the initializer of the kernel.
    pub fn kernel_initializer(self, kernel_initializer: Initializer) -> Dense {
        Dense { kernel_initializer, ..self }
    }

    /// Sets the initializer of the bias.
    pub fn bias_initializer(self, bias_initializer: Initializer) -> Dense {
        Dense { bias_initializer, ..self }
    }

    /// Sets the regularizer of the kernel.
    pub fn kernel_regularizer(self, kernel_regularizer: Regularizer) -> Dense {
        Dense { kernel_regularizer: Some(kernel_regularizer), ..self }
    }

    /// Sets the regularizer of the bias.
    pub fn bias_regularizer(self, bias_regularizer: Regularizer) -> Dense {
        Dense { bias_regularizer: Some(bias_regularizer), ..self }
    }
}

pub(super) fn yes() -> bool {
    true
}

constraint_methods!(Dense: kernel_constraint of "kernel", bias_constraint of "bias");

impl Layer for Dense {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        match **input {
            _ if self.units == 0 => Err(BuildError::argument("units", "at least 1", 0)),
            [] => Err(BuildError::input("an input [..., features]")),
            [ref outer @ .., _] => self.activation.output_shape(&Shape::from([outer, &[self.units]].concat())),
        }
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let features = input.last().copied().unwrap_or_default();
        let kernel = Variable::new("kernel", [features, self.units], self.kernel_initializer)
            .regularizer(self.kernel_regularizer)
            .constraint(self.kernel_constraint.clone());
        let bias = Variable::new("bias", [self.units], self.bias_initializer)
            .regularizer(self.bias_regularizer)
            .constraint(self.bias_constraint.clone());
        if self.use_bias { vec![kernel, bias] } else { vec![kernel] }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let input = call.shape(call.input()).clone();
        let features = input.last().copied().unwrap_or_default();
        let rows = input.elements() / features.max(1);
        let mut inputs = call.input_and_variables();
        inputs[0] = call.reshape(inputs[0], [rows, features])?;
        let y = call.add(Matmul { transpose_a: false, transpose_b: false, bias: self.use_bias }, &inputs)?;
        let outer = input.split_last().map(|(_, outer)| outer).unwrap_or_default();
        let y = if input.len() == 2 { y } else { call.reshape(y, [outer, &[self.units]].concat())? };
        self.activation.apply(call, y)
    }
}

impl Saved for Dense {
    fn fixed() -> Value {
        json!({
            "quantization_config": null,
        })
    }
}
