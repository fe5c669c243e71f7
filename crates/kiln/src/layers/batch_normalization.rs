use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{BatchNorm, BatchNormInference, MovingAverage};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::dense::yes;
use super::saved::Saved;
use super::{BuildError, Call, Constraint, Initializer, Layer, Variable};

/// `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, per channel (Ioffe and Szegedy 2015).
///
/// In training, mean and biased variance are those of the batch, and the moving statistics are updated: `moving =
/// momentum moving + (1 - momentum) batch`. In evaluation and prediction, and if the layer is frozen, it uses the
/// moving statistics without updating them (as in Keras 3).
///
/// # Shapes
/// In: `[..., channels]`. Out: the same. Variables, each `[channels]`: `gamma` if `scale`, `beta` if `center`,
/// `moving_mean`, `moving_variance`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNormalization {
    /// The axis of the channels, counting the batch axis: only the last one, as -1 or by its index. Keras 2 writes
    /// `[3]`.
    #[serde(default = "last", deserialize_with = "axis")]
    pub axis: i64,
    /// The momentum of the moving statistics, 0 to 1.
    #[serde(default = "momentum")]
    pub momentum: f64,
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
    /// The initializer of `moving_mean`.
    #[serde(default = "Initializer::zeros")]
    pub moving_mean_initializer: Initializer,
    /// The initializer of `moving_variance`.
    #[serde(default = "Initializer::ones")]
    pub moving_variance_initializer: Initializer,
    /// The constraint of the `beta`, applied after each step.
    #[serde(default)]
    pub beta_constraint: Option<Constraint>,
    /// The constraint of the `gamma`, applied after each step.
    #[serde(default)]
    pub gamma_constraint: Option<Constraint>,
}

impl Default for BatchNormalization {
    fn default() -> BatchNormalization {
        BatchNormalization {
            axis: last(),
            momentum: momentum(),
            epsilon: epsilon(),
            center: true,
            scale: true,
            beta_initializer: Initializer::zeros(),
            gamma_initializer: Initializer::ones(),
            moving_mean_initializer: Initializer::zeros(),
            moving_variance_initializer: Initializer::ones(),
            beta_constraint: None,
            gamma_constraint: None,
        }
    }
}

impl BatchNormalization {
    /// A layer with Keras' defaults: momentum 0.99, epsilon 0.001, gamma and beta.
    pub fn new() -> BatchNormalization {
        BatchNormalization::default()
    }

    /// Sets the momentum of the moving statistics, 0 to 1.
    pub fn momentum(self, momentum: f64) -> BatchNormalization {
        BatchNormalization { momentum, ..self }
    }

    /// Sets `epsilon`, which is added to the variance, above 0.
    pub fn epsilon(self, epsilon: f64) -> BatchNormalization {
        BatchNormalization { epsilon, ..self }
    }

    /// Sets whether there is a `beta`.
    pub fn center(self, center: bool) -> BatchNormalization {
        BatchNormalization { center, ..self }
    }

    /// Sets whether there is a `gamma`.
    pub fn scale(self, scale: bool) -> BatchNormalization {
        BatchNormalization { scale, ..self }
    }
}

fn last() -> i64 {
    -1
}

fn momentum() -> f64 {
    0.99
}

fn epsilon() -> f64 {
    1e-3
}

/// Reads a number, or a list of one number.
fn axis<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let single = value.as_array().filter(|axes| axes.len() == 1).map_or(&value, |axes| &axes[0]);
    let expected = || serde::de::Error::custom(format!("expected one axis, the last one, found {value}"));
    single.as_i64().ok_or_else(expected)
}

constraint_methods!(BatchNormalization: beta_constraint of "`beta`", gamma_constraint of "`gamma`");

impl Layer for BatchNormalization {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let (rank, BatchNormalization { axis, momentum, epsilon, .. }) = (input.len() as i64, self);
        match rank {
            0 => Err(BuildError::input("an input [..., channels]")),
            _ if *axis != -1 && *axis != rank => {
                Err(BuildError::argument("axis", format!("the last one (-1 or {rank})"), axis))
            }
            _ if !(0.0..=1.0).contains(momentum) => Err(BuildError::argument("momentum", "0 to 1", momentum)),
            _ if *epsilon <= 0.0 || !epsilon.is_finite() => {
                Err(BuildError::argument("epsilon", "more than 0", epsilon))
            }
            _ => Ok(input.clone()),
        }
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let shape = Shape::from([input.last().copied().unwrap_or_default()]);
        let variable = |name, initializer| Variable::new(name, shape.clone(), initializer);
        let gamma = || variable("gamma", self.gamma_initializer).constraint(self.gamma_constraint.clone());
        let beta = || variable("beta", self.beta_initializer).constraint(self.beta_constraint.clone());
        let (gamma, beta) = (self.scale.then(gamma), self.center.then(beta));
        let mean = variable("moving_mean", self.moving_mean_initializer).trainable(false);
        let variance = variable("moving_variance", self.moving_variance_initializer).trainable(false);
        gamma.into_iter().chain(beta).chain([mean, variance]).collect()
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let BatchNormalization { scale, center, momentum, .. } = *self;
        let (x, epsilon) = (call.input(), self.epsilon as f32);
        let parameters = usize::from(scale) + usize::from(center);
        let (parameters, moving) = call.variables().split_at(parameters);
        let (parameters, moving) = (parameters.to_vec(), moving.to_vec());
        if !(call.training() && call.trainable()) {
            let inputs = [&[x], &moving[..], &parameters].concat();
            return call.add(BatchNormInference { epsilon, scale, center }, &inputs);
        }
        let outputs = call.add_all(BatchNorm { epsilon, scale, center }, &[&[x], &parameters[..]].concat())?;
        for (&batch, &moving) in outputs[1..].iter().zip(&moving) {
            call.update(MovingAverage { momentum }, &[batch], &[moving])?;
        }
        Ok(outputs[0])
    }
}

impl Saved for BatchNormalization {
    fn fixed() -> Value {
        json!({
            "beta_regularizer": null,
            "gamma_regularizer": null,
            "synchronized": false,
            "renorm": false,
            "renorm_clipping": null,
            "renorm_momentum": 0.99,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::layers::Registry;

    fn read(config: Value) -> std::result::Result<String, String> {
        Registry::default().read("BatchNormalization", config.as_object().unwrap()).map(|layer| format!("{layer:?}"))
    }

    fn expected_by(layer: BatchNormalization, input: &[usize]) -> String {
        layer.output_shape(&Shape::from(input)).unwrap_err().to_string()
    }

    #[test]
    fn the_last_axis_is_read_in_every_form_that_keras_writes() {
        let layer = |axis| BatchNormalization { axis, ..BatchNormalization::new() };
        assert_eq!(read(json!({"axis": [3]})).unwrap(), format!("{:?}", layer(3)));
        assert_eq!(read(json!({"axis": -1})).unwrap(), format!("{:?}", layer(-1)));
        assert_eq!(layer(3).output_shape(&Shape::from([5, 4, 7])).unwrap(), Shape::from([5, 4, 7]));
        assert_eq!(layer(1).output_shape(&Shape::from([7])).unwrap(), Shape::from([7]));
        assert_eq!(expected_by(layer(1), &[5, 4, 7]), "axis: expected the last one (-1 or 3), found 1");
        assert_eq!(read(json!({"axis": [1, 3]})).unwrap_err(), "axis: expected one axis, the last one, found [1,3]");
    }

    #[test]
    fn values_that_give_no_number_say_what_is_expected() {
        assert_eq!(expected_by(BatchNormalization::new(), &[]), "expected an input [..., channels]");
        assert_eq!(expected_by(BatchNormalization::new().momentum(1.5), &[3]), "momentum: expected 0 to 1, found 1.5");
        assert_eq!(expected_by(BatchNormalization::new().epsilon(0.0), &[3]), "epsilon: expected more than 0, found 0");
        assert_eq!(read(json!({"renorm": true})).unwrap_err(), "renorm: expected false, found true");
    }

    #[test]
    fn variables_are_named_and_ordered_as_in_keras_and_statistics_are_not_trainable() {
        let names = |layer: BatchNormalization| -> Vec<(&str, bool)> {
            let variables = layer.variables(&Shape::from([4, 4, 257]));
            assert!(variables.iter().all(|variable| variable.shape == Shape::from([257])));
            variables.into_iter().map(|variable| (variable.name, variable.trainable)).collect()
        };
        let moving = [("moving_mean", false), ("moving_variance", false)];
        assert_eq!(names(BatchNormalization::new()), [&[("gamma", true), ("beta", true)], &moving[..]].concat());
        assert_eq!(names(BatchNormalization::new().scale(false)), [&[("beta", true)], &moving[..]].concat());
        assert_eq!(names(BatchNormalization::new().scale(false).center(false)), moving);
    }
}
