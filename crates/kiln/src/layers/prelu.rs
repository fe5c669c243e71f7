use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::Binary;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable, axes};

/// `y = x` for `x > 0`, else `alpha x`, with a learned `alpha` for each place of a sample (He et al. 2015). Where `x` is 0,
/// no gradient passes, as in Keras.
///
/// # Shapes
/// Any; the output has the shape of the input. Variable: `alpha`, with the extents of a sample, 1 along `shared_axes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PReLU {
    /// The initializer of `alpha`.
    #[serde(default = "Initializer::zeros")]
    pub alpha_initializer: Initializer,
    /// The penalty on `alpha`.
    #[serde(default)]
    pub alpha_regularizer: Option<Regularizer>,
    /// The constraint of the `alpha`, applied after each step.
    #[serde(default)]
    pub alpha_constraint: Option<Constraint>,
    /// The axes along which all values have the same `alpha`, counting the batch as axis 0: `[1, 2]` for one per channel of an
    /// image.
    #[serde(default, deserialize_with = "shared")]
    pub shared_axes: Option<Vec<i64>>,
}

impl PReLU {
    /// A layer with an `alpha` for each place of a sample, 0 at first.
    pub fn new() -> PReLU {
        PReLU::default()
    }

    /// Sets the axes along which all values have the same `alpha`, counting the batch as axis 0: `[1, 2]` for one per channel
    /// of an image.
    pub fn shared_axes(self, axes: impl Into<Vec<i64>>) -> PReLU {
        PReLU { shared_axes: Some(axes.into()), ..self }
    }

    /// Sets the initializer of `alpha`.
    pub fn alpha_initializer(self, alpha_initializer: Initializer) -> PReLU {
        PReLU { alpha_initializer, ..self }
    }

    /// Sets the penalty on `alpha`.
    pub fn alpha_regularizer(self, regularizer: Regularizer) -> PReLU {
        PReLU { alpha_regularizer: Some(regularizer), ..self }
    }

    /// The shape of `alpha`.
    fn alpha(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let axes = self.shared_axes.as_deref().unwrap_or_default();
        let wrong = |expected: String| BuildError::argument("shared_axes", expected, format!("{axes:?}"));
        if axes.iter().any(|&axis| axis < 1) {
            // Keras subtracts 1 from negative axes, too, and shares another axis.
            return Err(wrong(format!("axes 1 to {} of the sample, each once", input.len())));
        }
        let shared = axes::places("shared_axes", axes, input)?;
        let starts = shared.iter().filter(|&&place| place != 1 && !shared.contains(&(place - 1))).count();
        if starts > 1 {
            return Err(wrong("adjacent axes, and others from 1 on".to_owned()));
        }
        let extent = |(i, &extent): (usize, &usize)| if shared.contains(&(i + 1)) { 1 } else { extent };
        Ok(input.iter().enumerate().map(extent).collect::<Vec<usize>>().into())
    }
}

impl Default for PReLU {
    fn default() -> PReLU {
        PReLU {
            alpha_initializer: Initializer::zeros(),
            alpha_regularizer: None,
            alpha_constraint: None,
            shared_axes: None,
        }
    }
}

fn shared<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Vec<i64>>, D::Error> {
    axes::read(deserializer).map(|axes| Some(axes).filter(|axes| !axes.is_empty()))
}

constraint_methods!(PReLU: alpha_constraint of "`alpha`");

impl Layer for PReLU {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        self.alpha(input).map(|_| input.clone())
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let alpha = self.alpha(input).map(|shape| {
            Variable::new("alpha", shape, self.alpha_initializer)
                .regularizer(self.alpha_regularizer)
                .constraint(self.alpha_constraint.clone())
        });
        alpha.into_iter().collect()
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let &[alpha] = call.variables() else { return Ok(call.input()) };
        let shape = call.shape(alpha).batched(1);
        let alpha = call.reshape(alpha, shape)?;
        call.add(Binary::Prelu, &[call.input(), alpha])
    }
}

impl Saved for PReLU {
    fn fixed() -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn alpha_has_the_extents_of_a_sample_but_for_shared_axes() {
        let alpha = |layer: PReLU| layer.variables(&[4, 5, 3].into())[0].shape.clone();
        assert_eq!(alpha(PReLU::new()), [4, 5, 3].into());
        assert_eq!(alpha(PReLU::new().shared_axes([1, 2])), [1, 1, 3].into());
        let error = PReLU::new().shared_axes([4]).output_shape(&[4, 5, 3].into()).unwrap_err().to_string();
        assert!(error.starts_with("shared_axes: expected axes 1 to 3 of the sample"), "{error}");
        let error = PReLU::new().shared_axes([-1]).output_shape(&[4, 5, 3].into()).unwrap_err().to_string();
        assert_eq!(error, "shared_axes: expected axes 1 to 3 of the sample, each once, found [-1]");
        let error = PReLU::new().shared_axes([2, 4]).output_shape(&[2, 3, 4, 5].into()).unwrap_err().to_string();
        assert_eq!(error, "shared_axes: expected adjacent axes, and others from 1 on, found [2, 4]");
        assert!(PReLU::new().shared_axes([1, 3, 4]).output_shape(&[2, 3, 4, 5].into()).is_ok());
    }
}
