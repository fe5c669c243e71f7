//! Regularizers: penalties on variables, added to the loss.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::keras_object::{KerasObject, Package};

/// A penalty on a variable that is added to the loss, with Keras' names. The factors are 0 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Regularizer {
    /// `l1 sum |w|`
    L1 {
        /// The factor; Keras' default is 0.01.
        l1: f64,
    },
    /// `l2 sum w²`
    L2 {
        /// The factor; Keras' default is 0.01.
        l2: f64,
    },
    /// `l1 sum |w| + l2 sum w²`
    L1L2 {
        /// The factor of the sum of the absolute values; Keras' default is 0.
        l1: f64,
        /// The factor of the sum of the squares; Keras' default is 0.
        l2: f64,
    },
}

impl Regularizer {
    /// `l1 sum |w|`
    pub fn l1(l1: f64) -> Regularizer {
        Regularizer::L1 { l1 }
    }

    /// `l2 sum w²`
    pub fn l2(l2: f64) -> Regularizer {
        Regularizer::L2 { l2 }
    }

    /// `l1 sum |w| + l2 sum w²`
    pub fn l1_l2(l1: f64, l2: f64) -> Regularizer {
        Regularizer::L1L2 { l1, l2 }
    }

    /// Keras' name of the class.
    pub fn class_name(self) -> &'static str {
        match self {
            Regularizer::L1 { .. } => "L1",
            Regularizer::L2 { .. } => "L2",
            Regularizer::L1L2 { .. } => "L1L2",
        }
    }

    /// The factors of the sum of the absolute values and of the sum of the squares.
    pub fn factors(self) -> [f64; 2] {
        match self {
            Regularizer::L1 { l1 } => [l1, 0.0],
            Regularizer::L2 { l2 } => [0.0, l2],
            Regularizer::L1L2 { l1, l2 } => [l1, l2],
        }
    }

    /// The requirement that the factors violate, if any.
    pub(crate) fn misfit(self) -> Option<String> {
        let fits = self.factors().into_iter().all(|factor| factor.is_finite() && factor >= 0.0);
        (!fits).then(|| "a regularizer whose factors are finite and 0 or more".to_owned())
    }

    fn config(self) -> Value {
        match self {
            Regularizer::L1 { l1 } => json!({"l1": l1}),
            Regularizer::L2 { l2 } => json!({"l2": l2}),
            Regularizer::L1L2 { l1, l2 } => json!({"l1": l1, "l2": l2}),
        }
    }

    /// The regularizer of this class with these arguments; missing ones have Keras' defaults.
    fn from_config(class_name: &str, config: &Map<String, Value>) -> Option<Regularizer> {
        let (class, names): (_, &[&str]) = match class_name {
            "L1" | "l1" => ("L1", &["l1"]),
            "L2" | "l2" => ("L2", &["l2"]),
            "L1L2" | "l1l2" | "l1_l2" => ("L1L2", &["l1", "l2"]),
            _ => return None,
        };
        if config.keys().any(|key| !names.contains(&key.as_str())) {
            return None;
        }
        let factor = |key: &str, default: f64| config.get(key).map_or(Some(default), Value::as_f64);
        Some(match class {
            "L1" => Regularizer::l1(factor("l1", 0.01)?),
            "L2" => Regularizer::l2(factor("l2", 0.01)?),
            _ => Regularizer::l1_l2(factor("l1", 0.0)?, factor("l2", 0.0)?),
        })
    }
}

impl Serialize for Regularizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = json!({
            "module": "keras.regularizers",
            "class_name": self.class_name(),
            "config": self.config(),
            "registered_name": null,
        });
        value.serialize(serializer)
    }
}

/// Reads the formats of Keras 3 and Keras 2: an object with class name and arguments, or a class name.
impl<'de> Deserialize<'de> for Regularizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Regularizer, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let (class, config) = match &value {
            Value::Object(_) => {
                let object = KerasObject::read(&value, Package::Regularizers, &[]).map_err(serde::de::Error::custom)?;
                (object.class, object.arguments().map_err(serde::de::Error::custom)?)
            }
            _ => (value.as_str().unwrap_or_default(), Map::new()),
        };
        let found = Regularizer::from_config(class, &config).filter(|regularizer| regularizer.misfit().is_none());
        found.ok_or_else(|| {
            let expected = "expected a regularizer (L1, L2, L1L2) with factors of 0 or more";
            serde::de::Error::custom(format!("{expected}, found {value}"))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn read(json: Value) -> Result<Regularizer, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    /// The output of Keras 3.15.
    #[test]
    fn regularizers_are_written_as_keras_writes_them() {
        let keras = |class: &str, config: Value| json!({"module": "keras.regularizers", "class_name": class, "config": config, "registered_name": null});
        let pairs = [
            (Regularizer::l1(0.02), keras("L1", json!({"l1": 0.02}))),
            (Regularizer::l2(0.03), keras("L2", json!({"l2": 0.03}))),
            (Regularizer::l1_l2(0.1, 0.2), keras("L1L2", json!({"l1": 0.1, "l2": 0.2}))),
        ];
        for (regularizer, json) in pairs {
            assert_eq!(serde_json::to_value(regularizer).unwrap(), json);
            assert_eq!(read(json), Ok(regularizer));
        }
    }

    #[test]
    fn what_keras_2_writes_and_names_are_read() {
        let keras2 = json!({"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.009999999776482582}});
        assert_eq!(read(keras2), Ok(Regularizer::l1_l2(0.0, 0.009999999776482582)));
        assert_eq!(read(json!("l1")), Ok(Regularizer::l1(0.01)));
        assert_eq!(read(json!("l2")), Ok(Regularizer::l2(0.01)));
        assert_eq!(read(json!({"class_name": "L1L2", "config": {"l2": 1}})), Ok(Regularizer::l1_l2(0.0, 1.0)));
    }

    #[test]
    fn what_is_no_regularizer_says_what_is_expected() {
        let expected = "expected a regularizer (L1, L2, L1L2) with factors of 0 or more, found";
        assert_eq!(read(json!("l3")), Err(format!("{expected} \"l3\"")));
        for config in [json!({"l2": -0.5}), json!({"l2": "much"}), json!({"l3": 0.5})] {
            let error = read(json!({"class_name": "L2", "config": config})).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
