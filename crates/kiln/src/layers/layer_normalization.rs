use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::GroupNorm;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dense::yes;
use super::saved::Saved;
use super::{BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable, axes};

/// `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, with mean and biased variance of each sample along some axes
/// (Ba et al. 2016). Training and prediction are the same.
///
/// # Shapes
/// Any with these axes; the output has the shape of the input. Variables: `gamma` if `scale`, `beta` if `center`, with the
/// extents of the axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNormalization {
    /// The axes, counting the batch as axis 0; -1 is the last one.
    #[serde(default = "last", deserialize_with = "axes::read")]
    pub axis: Vec<i64>,
    /// Added to the variance, above 0.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Whether there is a `beta`.
    #[serde(default = "yes")]
    pub center: bool,
    /// Whether there is a `gamma`.
    #[serde(default = "yes")]
    pub scale: bool,
    /// The initializer of `beta`.
    #[serde(default = "Initializer::zeros")]
    pub beta_initializer: Initializer,
    /// The initializer of `gamma`.
    #[serde(default = "Initializer::ones")]
    pub gamma_initializer: Initializer,
    /// The penalty on `beta`.
    #[serde(default)]
    pub beta_regularizer: Option<Regularizer>,
    /// The penalty on `gamma`.
    #[serde(default)]
    pub gamma_regularizer: Option<Regularizer>,
    /// The constraint of the `beta`, applied after each step.
    #[serde(default)]
    pub beta_constraint: Option<Constraint>,
    /// The constraint of the `gamma`, applied after each step.
    #[serde(default)]
    pub gamma_constraint: Option<Constraint>,
}

impl LayerNormalization {
    /// A layer with Keras' defaults: along the last axis, epsilon 0.001, gamma and beta.
    pub fn new() -> LayerNormalization {
        LayerNormalization::default()
    }

    /// Sets the axes, counting the batch as axis 0; -1 is the last one.
    pub fn axis(self, axis: impl Into<Vec<i64>>) -> LayerNormalization {
        LayerNormalization { axis: axis.into(), ..self }
    }

    /// Sets `epsilon`, which is added to the variance, above 0.
    pub fn epsilon(self, epsilon: f64) -> LayerNormalization {
        LayerNormalization { epsilon, ..self }
    }

    /// Sets whether there is a `beta`.
    pub fn center(self, center: bool) -> LayerNormalization {
        LayerNormalization { center, ..self }
    }

    /// Sets whether there is a `gamma`.
    pub fn scale(self, scale: bool) -> LayerNormalization {
        LayerNormalization { scale, ..self }
    }

    fn places(&self, input: &Shape) -> std::result::Result<Vec<usize>, BuildError> {
        axes::places("axis", &self.axis, input)
    }
}

impl Default for LayerNormalization {
    fn default() -> LayerNormalization {
        LayerNormalization {
            axis: last(),
            epsilon: epsilon(),
            center: true,
            scale: true,
            beta_initializer: Initializer::zeros(),
            gamma_initializer: Initializer::ones(),
            beta_regularizer: None,
            gamma_regularizer: None,
            beta_constraint: None,
            gamma_constraint: None,
        }
    }
}

fn last() -> Vec<i64> {
    vec![-1]
}

pub(super) fn epsilon() -> f64 {
    1e-3
}

/// # Errors
/// If epsilon is not above 0.
pub(super) fn check_epsilon(epsilon: f64) -> std::result::Result<(), BuildError> {
    match epsilon > 0.0 && epsilon.is_finite() {
        true => Ok(()),
        false => Err(BuildError::argument("epsilon", "more than 0", epsilon)),
    }
}

constraint_methods!(LayerNormalization: beta_constraint of "`beta`", gamma_constraint of "`gamma`");

impl Layer for LayerNormalization {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        if self.places(input)?.is_empty() || input.elements() == 0 {
            return Err(BuildError::argument("axis", "at least one axis with values", format!("{:?}", self.axis)));
        }
        check_epsilon(self.epsilon).map(|()| input.clone())
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        // Keras sorts the axes as they were given: -1 comes before 1.
        let mut sorted = self.axis.clone();
        sorted.sort_unstable();
        let extent = |&axis: &i64| axes::places("axis", &[axis], input).map(|place| axes::extents(&place, input)[0]);
        let extents: std::result::Result<Vec<usize>, BuildError> = sorted.iter().map(extent).collect();
        let shape = Shape::from(extents.unwrap_or_default());
        let gamma = Variable::new("gamma", shape.clone(), self.gamma_initializer)
            .regularizer(self.gamma_regularizer)
            .constraint(self.gamma_constraint.clone());
        let beta = Variable::new("beta", shape, self.beta_initializer)
            .regularizer(self.beta_regularizer)
            .constraint(self.beta_constraint.clone());
        [(self.scale, gamma), (self.center, beta)].into_iter().filter_map(|(has, of)| has.then_some(of)).collect()
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let LayerNormalization { scale, center, .. } = *self;
        let places = self.places(&call.shape(call.input()).sample()).unwrap_or_default();
        let op = GroupNorm { groups: 1, epsilon: self.epsilon as f32, scale, center };
        axes::along(call, &places, |call, x| {
            let width = call.shape(x).last().copied().unwrap_or(1);
            let mut inputs = vec![x];
            for variable in call.variables().to_vec() {
                inputs.push(call.reshape(variable, [width])?);
            }
            Ok(call.add_all(op, &inputs)?[0])
        })
    }
}

impl Saved for LayerNormalization {
    fn fixed() -> Value {
        json!({"rms_scaling": false})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_has_the_extents_of_the_sorted_axes() {
        let gamma = |axes: &[i64]| LayerNormalization::new().axis(axes).variables(&[4, 5, 3].into())[0].shape.clone();
        assert_eq!([gamma(&[1, 3]), gamma(&[3, 1])], [[4, 3].into(), [4, 3].into()]);
        assert_eq!(gamma(&[1, -1]), [3, 4].into()); // as Keras sorts them
    }
}
