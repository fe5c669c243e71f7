//! What variables hold before training.

use kiln_graph::Shape;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::random::{Stream, uniform};

/// A rule for the first values of a variable, by Keras' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Initializer {
    /// Uniform in `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010). A kernel `[R, S, C, K]` has the fans
    /// `R S C` and `R S K`, one `[in, out]` has `in` and `out`.
    GlorotUniform,
    /// All one.
    Ones,
    /// All zero.
    Zeros,
}

const ALL: [Initializer; 3] = [Initializer::GlorotUniform, Initializer::Ones, Initializer::Zeros];

impl Initializer {
    /// Keras' name of the class.
    pub fn class_name(self) -> &'static str {
        match self {
            Initializer::GlorotUniform => "GlorotUniform",
            Initializer::Ones => "Ones",
            Initializer::Zeros => "Zeros",
        }
    }

    /// The first values of a variable of this shape. They depend on the seed, on which variable of the model it is and
    /// on the place of each value, and on nothing else.
    pub fn values(self, shape: &Shape, seed: u64, variable: usize) -> Vec<f32> {
        match self {
            Initializer::Ones => vec![1.0; shape.elements()],
            Initializer::Zeros => vec![0.0; shape.elements()],
            Initializer::GlorotUniform => {
                let (fan_in, fan_out) = fans(shape);
                let limit = (6.0 / (fan_in + fan_out).max(1) as f64).sqrt() as f32;
                let draw = |element| uniform(Stream::Initializer, [seed, variable as u64, element as u64]);
                (0..shape.elements()).map(|element| (2.0 * draw(element) - 1.0) * limit).collect()
            }
        }
    }

    fn config(self) -> Value {
        match self {
            Initializer::GlorotUniform => json!({"seed": null, "input_axes": null, "output_axes": null}),
            Initializer::Ones | Initializer::Zeros => json!({}),
        }
    }
}

/// How many values go into and come out of one of a layer's units, by Keras' rule.
fn fans(shape: &Shape) -> (usize, usize) {
    match **shape {
        [] => (1, 1),
        [n] => (n, n),
        [ref window @ .., inputs, outputs] => {
            let window: usize = window.iter().product();
            (window * inputs, window * outputs)
        }
    }
}

impl Serialize for Initializer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = json!({
            "module": "keras.initializers",
            "class_name": self.class_name(),
            "config": self.config(),
            "registered_name": null,
        });
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Initializer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Initializer, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let class = value.get("class_name").and_then(Value::as_str).unwrap_or_default();
        ALL.into_iter().find(|known| known.class_name() == class).ok_or_else(|| {
            let known = ALL.map(Initializer::class_name).join(", ");
            serde::de::Error::custom(format!("expected an initializer ({known}), found {value}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fans_follow_keras() {
        assert_eq!(fans(&Shape::from([5, 5, 20, 50])), (500, 1250));
        assert_eq!(fans(&Shape::from([2450, 500])), (2450, 500));
        assert_eq!(fans(&Shape::from([7])), (7, 7));
    }

    #[test]
    fn glorot_uniform_fills_its_limits_evenly() {
        let shape = Shape::from([100, 50]);
        let values = Initializer::GlorotUniform.values(&shape, 1, 0);
        let limit = 0.2f32;
        let largest = values.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(largest <= limit && largest > 0.99 * limit, "{largest}");
        assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn values_depend_on_seed_variable_and_element() {
        let values = |seed, variable| Initializer::GlorotUniform.values(&Shape::from([3, 1]), seed, variable);
        assert_eq!(values(1, 2), values(1, 2));
        assert_ne!(values(1, 2), values(2, 2));
        assert_ne!(values(1, 2), values(1, 3));
        assert_ne!(values(1, 2)[0], values(1, 2)[1]);
    }
}
