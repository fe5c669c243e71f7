use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::GroupNorm;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dense::yes;
use super::layer_normalization::{check_epsilon, epsilon};
use super::saved::Saved;
use super::{BuildError, Call, Constraint, Initializer, Layer, Regularizer, Variable, axes};

/// `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, with mean and biased variance of each group of channels of each
/// sample (Wu and He 2018). Training and prediction are the same.
///
/// # Shapes
/// In: any, with channels along `axis`. Out: the same. Variables, each `[channels]`: `gamma` if `scale`, `beta` if `center`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupNormalization {
    /// The number of groups, a divisor of the channels; -1 for as many as channels (instance normalization).
    #[serde(default = "groups")]
    pub groups: i64,
    /// The axis of the channels: -1 for the last one, or its index, counting the batch as axis 0.
    #[serde(default = "last")]
    pub axis: i64,
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

impl GroupNormalization {
    /// A layer with this number of groups, a divisor of the channels, or -1 for as many as channels. Keras' default is 32.
    pub fn new(groups: i64) -> GroupNormalization {
        GroupNormalization {
            groups,
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

    /// Sets the axis of the channels: -1 for the last one, or its index, counting the batch as axis 0.
    pub fn axis(self, axis: i64) -> GroupNormalization {
        GroupNormalization { axis, ..self }
    }

    /// Sets `epsilon`, which is added to the variance, above 0.
    pub fn epsilon(self, epsilon: f64) -> GroupNormalization {
        GroupNormalization { epsilon, ..self }
    }

    /// Sets whether there is a `beta`.
    pub fn center(self, center: bool) -> GroupNormalization {
        GroupNormalization { center, ..self }
    }

    /// Sets whether there is a `gamma`.
    pub fn scale(self, scale: bool) -> GroupNormalization {
        GroupNormalization { scale, ..self }
    }

    /// The axis of the channels, counting the batch as axis 0, and their number.
    fn channels(&self, input: &Shape) -> std::result::Result<(usize, usize), BuildError> {
        let place = axes::places("axis", &[self.axis], input)?[0];
        Ok((place, input[place - 1]))
    }

    fn groups_of(&self, channels: usize) -> Option<usize> {
        let groups = if self.groups == -1 { channels } else { usize::try_from(self.groups).ok()? };
        (groups > 0 && channels.is_multiple_of(groups)).then_some(groups)
    }
}

impl Default for GroupNormalization {
    fn default() -> GroupNormalization {
        GroupNormalization::new(groups())
    }
}

fn groups() -> i64 {
    32
}

fn last() -> i64 {
    -1
}

constraint_methods!(GroupNormalization: beta_constraint of "`beta`", gamma_constraint of "`gamma`");

impl Layer for GroupNormalization {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let (_, channels) = self.channels(input)?;
        if input.elements() == 0 {
            return Err(BuildError::input("an input with values"));
        }
        if self.groups_of(channels).is_none() {
            let expected = format!("a divisor of the {channels} channels, or -1");
            return Err(BuildError::argument("groups", expected, self.groups));
        }
        check_epsilon(self.epsilon).map(|()| input.clone())
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let shape = Shape::from([self.channels(input).map_or(0, |(_, channels)| channels)]);
        let gamma = Variable::new("gamma", shape.clone(), self.gamma_initializer)
            .regularizer(self.gamma_regularizer)
            .constraint(self.gamma_constraint.clone());
        let beta = Variable::new("beta", shape, self.beta_initializer)
            .regularizer(self.beta_regularizer)
            .constraint(self.beta_constraint.clone());
        [(self.scale, gamma), (self.center, beta)].into_iter().filter_map(|(has, of)| has.then_some(of)).collect()
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let GroupNormalization { scale, center, .. } = *self;
        let Ok((place, channels)) = self.channels(&call.shape(call.input()).sample()) else { return Ok(call.input()) };
        let groups = self.groups_of(channels).unwrap_or(1);
        let op = GroupNorm { groups, epsilon: self.epsilon as f32, scale, center };
        axes::with_last(call, &[place], |call, x| {
            let inputs = [&[x], call.variables()].concat();
            Ok(call.add_all(op, &inputs)?[0])
        })
    }
}

impl Saved for GroupNormalization {
    fn fixed() -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn groups_divide_the_channels() {
        let shape = |groups| GroupNormalization::new(groups).output_shape(&[3, 3, 6].into());
        for groups in [-1, 1, 2, 3, 6] {
            assert_eq!(shape(groups), Ok([3, 3, 6].into()));
        }
        for groups in [0, 4, 12, -2] {
            let error = shape(groups).unwrap_err().to_string();
            assert_eq!(error, format!("groups: expected a divisor of the 6 channels, or -1, found {groups}"));
        }
    }
}
