//! Initializers in model files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Distribution, FanMode, Initializer, Rule};
use crate::keras_object::{KerasObject, Package};
use crate::network::snake_case;

/// An initializer of each class, with Keras' defaults.
fn all() -> [Initializer; 15] {
    [
        Initializer::zeros(),
        Initializer::ones(),
        Initializer::constant(0.0),
        Initializer::random_uniform(-0.05, 0.05),
        Initializer::random_normal(0.0, 0.05),
        Initializer::truncated_normal(0.0, 0.05),
        Initializer::glorot_uniform(),
        Initializer::glorot_normal(),
        Initializer::he_uniform(),
        Initializer::he_normal(),
        Initializer::lecun_uniform(),
        Initializer::lecun_normal(),
        Initializer::variance_scaling(1.0, FanMode::FanIn, Distribution::TruncatedNormal),
        Initializer::orthogonal(1.0),
        Initializer::identity(1.0),
    ]
}

/// Keras' aliases of classes.
const OTHER_NAMES: [(&str, &str); 6] = [
    ("zero", "Zeros"),
    ("one", "Ones"),
    ("uniform", "RandomUniform"),
    ("normal", "RandomNormal"),
    ("OrthogonalInitializer", "Orthogonal"),
    ("IdentityInitializer", "Identity"),
];

impl FanMode {
    const ALL: [FanMode; 3] = [FanMode::FanIn, FanMode::FanOut, FanMode::FanAvg];

    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            FanMode::FanIn => "fan_in",
            FanMode::FanOut => "fan_out",
            FanMode::FanAvg => "fan_avg",
        }
    }
}

impl Distribution {
    const ALL: [Distribution; 3] =
        [Distribution::Uniform, Distribution::TruncatedNormal, Distribution::UntruncatedNormal];

    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Distribution::Uniform => "uniform",
            Distribution::TruncatedNormal => "truncated_normal",
            Distribution::UntruncatedNormal => "untruncated_normal",
        }
    }
}

impl Initializer {
    /// The arguments of Keras' constructor, in Keras' order.
    fn config(self) -> Value {
        let seed = self.seed;
        match self.rule {
            Rule::Zeros | Rule::Ones => json!({}),
            Rule::Identity { gain: 1.0 } => json!({}), // Keras 3 does not write the gain
            Rule::Identity { gain } => json!({"gain": gain}),
            Rule::Constant { value } => json!({"value": value}),
            Rule::RandomUniform { minval, maxval } => json!({"seed": seed, "minval": minval, "maxval": maxval}),
            Rule::RandomNormal { mean, stddev } | Rule::TruncatedNormal { mean, stddev } => {
                json!({"seed": seed, "mean": mean, "stddev": stddev})
            }
            Rule::VarianceScaling { scale, mode, distribution } => json!({
                "seed": seed,
                "scale": scale,
                "mode": mode.name(),
                "distribution": distribution.name(),
                "input_axes": null,
                "output_axes": null,
            }),
            Rule::Orthogonal { gain } => json!({"seed": seed, "gain": gain}),
            _ => json!({"seed": seed, "input_axes": null, "output_axes": null}),
        }
    }

    /// The initializer of this class with Keras' defaults.
    fn of_class(name: &str) -> Option<Initializer> {
        let other = OTHER_NAMES.into_iter().find(|(other, _)| *other == name);
        let name = other.map_or(name, |(_, class)| class);
        let has_name = |class: &str| class == name || snake_case(class) == name;
        all().into_iter().find(|known| has_name(known.class_name()))
    }

    /// Sets an argument of Keras' constructor that is not null; `None` if the argument or its value is not supported.
    fn with_argument(mut self, key: &str, value: &Value) -> Option<Initializer> {
        match (&mut self.rule, key) {
            (Rule::Zeros | Rule::Ones | Rule::Constant { .. } | Rule::Identity { .. }, "seed") => return None,
            (_, "seed") => self.seed = Some(value.as_u64()?),
            (Rule::Constant { value: number }, "value")
            | (Rule::RandomUniform { minval: number, .. }, "minval")
            | (Rule::RandomUniform { maxval: number, .. }, "maxval")
            | (Rule::RandomNormal { mean: number, .. } | Rule::TruncatedNormal { mean: number, .. }, "mean")
            | (Rule::RandomNormal { stddev: number, .. } | Rule::TruncatedNormal { stddev: number, .. }, "stddev")
            | (Rule::VarianceScaling { scale: number, .. }, "scale")
            | (Rule::Orthogonal { gain: number } | Rule::Identity { gain: number }, "gain") => {
                *number = value.as_f64()?;
            }
            (Rule::VarianceScaling { mode, .. }, "mode") => {
                *mode = FanMode::ALL.into_iter().find(|mode| value == mode.name())?;
            }
            (Rule::VarianceScaling { distribution, .. }, "distribution") => {
                let name = if value == "normal" { "truncated_normal" } else { value.as_str()? }; // Keras 2's name
                *distribution = Distribution::ALL.into_iter().find(|distribution| distribution.name() == name)?;
            }
            (_, "dtype") if value == "float32" => {} // Keras 2 writes it
            _ => return None,
        }
        Some(self)
    }

    fn from_config(class: &str, config: &Map<String, Value>) -> Option<Initializer> {
        let given = config.iter().filter(|(_, value)| !value.is_null());
        let required = class.eq_ignore_ascii_case("constant") && !config.contains_key("value");
        let start = Initializer::of_class(class).filter(|_| !required)?;
        given.into_iter().try_fold(start, |initializer, (key, value)| initializer.with_argument(key, value))
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

/// Reads the formats of Keras 3 and Keras 2: an object with class name and arguments, or a class name.
impl<'de> Deserialize<'de> for Initializer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Initializer, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let (class, config) = match &value {
            Value::Object(_) => {
                let object = KerasObject::read(&value, Package::Initializers, &[]).map_err(serde::de::Error::custom)?;
                (object.class, object.arguments().map_err(serde::de::Error::custom)?)
            }
            _ => (value.as_str().unwrap_or_default(), Map::new()),
        };
        Initializer::from_config(class, &config).ok_or_else(|| {
            let known = all().map(Initializer::class_name).join(", ");
            serde::de::Error::custom(format!("expected an initializer ({known}) with Keras' arguments, found {value}"))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn read(json: Value) -> Result<Initializer, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    fn keras3(class: &str, config: &Value) -> String {
        format!(r#"{{"module":"keras.initializers","class_name":"{class}","config":{config},"registered_name":null}}"#)
    }

    #[test]
    fn initializers_read_what_they_write() {
        for initializer in all().into_iter().chain(all().map(|initializer| initializer.seed(7))) {
            let read_back = read(serde_json::to_value(initializer).unwrap()).unwrap();
            assert_eq!(read_back.rule, initializer.rule);
            assert_eq!(serde_json::to_value(read_back).unwrap(), serde_json::to_value(initializer).unwrap());
        }
        assert_eq!(read(serde_json::to_value(Initializer::identity(2.0)).unwrap()), Ok(Initializer::identity(2.0)));
    }

    /// The output of Keras 3.15, in its order.
    #[test]
    fn initializers_are_written_as_keras_writes_them() {
        let axes = json!({"seed": null, "input_axes": null, "output_axes": null});
        let scaling = json!({
            "seed": null, "scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal",
            "input_axes": null, "output_axes": null,
        });
        let normal = json!({"seed": null, "mean": 0.0, "stddev": 0.05});
        let uniform = json!({"seed": 7, "minval": -0.1, "maxval": 0.1});
        let pairs = [
            (Initializer::zeros(), "Zeros", json!({})),
            (Initializer::constant(0.5), "Constant", json!({"value": 0.5})),
            (Initializer::random_uniform(-0.1, 0.1).seed(7), "RandomUniform", uniform),
            (Initializer::of_class("random_normal").unwrap(), "RandomNormal", normal.clone()),
            (Initializer::of_class("truncated_normal").unwrap(), "TruncatedNormal", normal),
            (Initializer::he_normal(), "HeNormal", axes.clone()),
            (Initializer::lecun_uniform(), "LecunUniform", axes),
            (Initializer::of_class("variance_scaling").unwrap(), "VarianceScaling", scaling),
            (Initializer::orthogonal(1.0), "Orthogonal", json!({"seed": null, "gain": 1.0})),
            (Initializer::identity(1.0), "Identity", json!({})),
        ];
        for (initializer, class, config) in pairs {
            assert_eq!(serde_json::to_string(&initializer).unwrap(), keras3(class, &config));
        }
    }

    #[test]
    fn what_keras_2_writes_and_names_are_read() {
        let keras2 = |class: &str, config: Value| read(json!({"class_name": class, "config": config})).unwrap();
        let config = json!({"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": null});
        let glorot = Initializer::variance_scaling(1.0, FanMode::FanAvg, Distribution::Uniform);
        assert_eq!(keras2("VarianceScaling", config), glorot);
        let config = json!({"scale": 2.0, "mode": "fan_in", "distribution": "normal", "seed": 3});
        let he = Initializer::variance_scaling(2.0, FanMode::FanIn, Distribution::TruncatedNormal);
        assert_eq!(keras2("VarianceScaling", config), he.seed(3));
        assert_eq!(keras2("GlorotUniform", json!({"seed": null, "dtype": "float32"})), Initializer::glorot_uniform());
        assert_eq!(keras2("Ones", json!({"dtype": "float32"})), Initializer::ones());
        assert_eq!(keras2("Identity", json!({"gain": 1.0})), Initializer::identity(1.0));
        let names = [("glorot_uniform", Initializer::glorot_uniform()), ("HeNormal", Initializer::he_normal())];
        for (name, initializer) in names.into_iter().chain([("zero", Initializer::zeros())]) {
            assert_eq!(read(json!(name)), Ok(initializer));
        }
    }

    #[test]
    fn what_is_no_initializer_says_what_is_expected() {
        let wrong = [
            json!("xavier"),
            json!("constant"),
            json!({"class_name": "HeNormal", "config": {"seed": -1}}),
            json!({"class_name": "HeNormal", "config": {"input_axes": [0]}}),
            json!({"class_name": "Constant", "config": {"value": [1.0, 2.0]}}),
            json!({"class_name": "VarianceScaling", "config": {"mode": "fan_max"}}),
        ];
        for json in wrong {
            let error = read(json.clone()).unwrap_err();
            assert!(error.starts_with("expected an initializer (Zeros, Ones, Constant, "), "{error}");
            assert!(error.ends_with(&format!("found {json}")), "{error}");
        }
    }
}
