//! Constraints: conditions that variables satisfy after each training step.

use std::sync::Arc;

use kiln_graph::{Op, Shape};
use kiln_ops::{ConstrainNonNegative, ConstrainNorm};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::keras_object::{KerasObject, Package};

/// A condition that a variable satisfies after each training step, with Keras' names. A step applies the optimizer's rule,
/// then the constraint.
///
/// A norm is the Euclidean norm of the values along `axis`, `||w||`; 1e-7 is added to a norm by which is divided. The axes
/// must be adjacent: `[0]`, Keras' default, for the weights of each unit of a `Dense` layer, `[0, 1, 2]` for those of each
/// filter of a `Conv2D` layer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Constraint {
    /// `w min(||w||, max_value) / ||w||` (Srivastava et al. 2014)
    MaxNorm {
        /// The largest norm; Keras' default is 2.
        max_value: f64,
        /// The axes of the norms.
        axis: Vec<i64>,
    },
    /// `max(w, 0)`
    NonNeg,
    /// `w / ||w||`
    UnitNorm {
        /// The axes of the norms.
        axis: Vec<i64>,
    },
    /// `w (rate clamp(||w||, min_value, max_value) + (1 - rate) ||w||) / ||w||`
    MinMaxNorm {
        /// The smallest norm; Keras' default is 0.
        min_value: f64,
        /// The largest norm; Keras' default is 1.
        max_value: f64,
        /// The share of the correction that a step applies, 0 to 1; Keras' default is 1.
        rate: f64,
        /// The axes of the norms.
        axis: Vec<i64>,
    },
}

impl Constraint {
    /// Norms of at most `max_value` along axis 0.
    pub fn max_norm(max_value: f64) -> Constraint {
        Constraint::MaxNorm { max_value, axis: vec![0] }
    }

    /// No negative values.
    pub fn non_neg() -> Constraint {
        Constraint::NonNeg
    }

    /// Norms of 1 along axis 0.
    pub fn unit_norm() -> Constraint {
        Constraint::UnitNorm { axis: vec![0] }
    }

    /// Norms of `min_value` to `max_value` along axis 0.
    pub fn min_max_norm(min_value: f64, max_value: f64) -> Constraint {
        Constraint::MinMaxNorm { min_value, max_value, rate: 1.0, axis: vec![0] }
    }

    /// Sets the axes of the norms, if there are norms.
    pub fn axis(mut self, axes: impl Into<Vec<i64>>) -> Constraint {
        if let Some(axis) = self.axes_mut() {
            *axis = axes.into();
        }
        self
    }

    /// Keras' name of the class.
    pub fn class_name(&self) -> &'static str {
        match self {
            Constraint::MaxNorm { .. } => "MaxNorm",
            Constraint::NonNeg => "NonNeg",
            Constraint::UnitNorm { .. } => "UnitNorm",
            Constraint::MinMaxNorm { .. } => "MinMaxNorm",
        }
    }

    fn axes_mut(&mut self) -> Option<&mut Vec<i64>> {
        match self {
            Constraint::NonNeg => None,
            Constraint::MaxNorm { axis, .. } | Constraint::UnitNorm { axis } | Constraint::MinMaxNorm { axis, .. } => {
                Some(axis)
            }
        }
    }

    /// The axes of the norms, if there are norms.
    fn axes(&self) -> Option<&[i64]> {
        match self {
            Constraint::NonNeg => None,
            Constraint::MaxNorm { axis, .. } | Constraint::UnitNorm { axis } | Constraint::MinMaxNorm { axis, .. } => {
                Some(axis)
            }
        }
    }

    /// The smallest and the largest norm, and the share of the correction.
    fn bounds(&self) -> [f64; 3] {
        match *self {
            Constraint::MaxNorm { max_value, .. } => [0.0, max_value, 1.0],
            Constraint::UnitNorm { .. } | Constraint::NonNeg => [1.0, 1.0, 1.0],
            Constraint::MinMaxNorm { min_value, max_value, rate, .. } => [min_value, max_value, rate],
        }
    }

    /// Whether the arguments are in their ranges.
    fn fits(&self) -> bool {
        let [minimum, maximum, rate] = self.bounds();
        let finite = minimum.is_finite() && maximum.is_finite();
        finite && 0.0 <= minimum && minimum <= maximum && (0.0..=1.0).contains(&rate)
    }

    /// A variable of this shape as `[outer, values of a norm, inner]`. `None` if it lacks an axis, or the axes are not
    /// adjacent.
    fn extents(axes: &[i64], shape: &Shape) -> Option<[usize; 3]> {
        let rank = i64::try_from(shape.len()).ok()?;
        let place = |&axis: &i64| usize::try_from(if axis < 0 { axis + rank } else { axis }).ok();
        let mut places: Vec<usize> = axes.iter().map(place).collect::<Option<_>>()?;
        places.sort_unstable();
        let (first, last) = (*places.first()?, *places.last()?);
        let is_run = last < shape.len() && places.iter().copied().eq(first..=last);
        is_run.then(|| [&shape[..first], &shape[first..=last], &shape[last + 1..]].map(|part| part.iter().product()))
    }

    /// The requirement that the constraint of a variable violates, if any.
    pub(crate) fn misfit(&self, shape: &Shape) -> Option<String> {
        if !self.fits() {
            return Some(
                "a constraint with finite norms, 0 <= min_value <= max_value, and a rate of 0 to 1".to_owned(),
            );
        }
        let fits = self.axes().is_none_or(|axes| Constraint::extents(axes, shape).is_some());
        (!fits).then(|| format!("a constraint of adjacent axes of a tensor with {} axes", shape.len()))
    }

    /// The shape in which the constraint's op sees a variable, and the op.
    pub(crate) fn op(&self, shape: &Shape) -> (Shape, Arc<dyn Op>) {
        let [minimum, maximum, rate] = self.bounds().map(|value| value as f32);
        match self.axes().and_then(|axes| Constraint::extents(axes, shape)) {
            Some(extents) => (extents.into(), Arc::new(ConstrainNorm { extents, minimum, maximum, rate })),
            None => {
                let count = shape.elements();
                ([count].into(), Arc::new(ConstrainNonNegative { count }))
            }
        }
    }

    fn config(&self) -> Value {
        let mut config = match *self {
            Constraint::NonNeg | Constraint::UnitNorm { .. } => json!({}),
            Constraint::MaxNorm { max_value, .. } => json!({"max_value": max_value}),
            Constraint::MinMaxNorm { min_value, max_value, rate, .. } => {
                json!({"min_value": min_value, "max_value": max_value, "rate": rate})
            }
        };
        match self.axes() {
            Some([axis]) => config["axis"] = json!(axis),
            Some(axes) => config["axis"] = json!(axes),
            None => {}
        }
        config
    }

    /// The constraint of this class with these arguments; missing ones have Keras' defaults.
    fn from_config(class_name: &str, config: &Map<String, Value>) -> Option<Constraint> {
        let number = |key: &str, default: f64| config.get(key).map_or(Some(default), Value::as_f64);
        let axis = match config.get("axis") {
            None => vec![0],
            Some(Value::Array(axes)) => axes.iter().map(Value::as_i64).collect::<Option<_>>()?,
            Some(axis) => vec![axis.as_i64()?],
        };
        let constraint = match class_name {
            "MaxNorm" | "max_norm" => Constraint::MaxNorm { max_value: number("max_value", 2.0)?, axis },
            "NonNeg" | "non_neg" => Constraint::NonNeg,
            "UnitNorm" | "unit_norm" => Constraint::UnitNorm { axis },
            "MinMaxNorm" | "min_max_norm" => {
                let (min_value, max_value) = (number("min_value", 0.0)?, number("max_value", 1.0)?);
                Constraint::MinMaxNorm { min_value, max_value, rate: number("rate", 1.0)?, axis }
            }
            _ => return None,
        };
        let known = constraint.config();
        let all_known = config.keys().all(|key| known.get(key).is_some());
        (all_known && constraint.fits()).then_some(constraint)
    }
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = json!({
            "module": "keras.constraints",
            "class_name": self.class_name(),
            "config": self.config(),
            "registered_name": null,
        });
        value.serialize(serializer)
    }
}

/// Reads the formats of Keras 3 and Keras 2: an object with class name and arguments, or a class name.
impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Constraint, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let (class, config) = match &value {
            Value::Object(_) => {
                let object = KerasObject::read(&value, Package::Constraints, &[]).map_err(serde::de::Error::custom)?;
                (object.class, object.arguments().map_err(serde::de::Error::custom)?)
            }
            _ => (value.as_str().unwrap_or_default(), Map::new()),
        };
        Constraint::from_config(class, &config).ok_or_else(|| {
            let expected = "expected a constraint (MaxNorm, MinMaxNorm, NonNeg, UnitNorm) with norms of 0 or more";
            serde::de::Error::custom(format!("{expected}, found {value}"))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn read(json: Value) -> Result<Constraint, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    /// The output of Keras 3.15.
    #[test]
    fn constraints_are_written_as_keras_writes_them() {
        let keras = |class: &str, config: Value| json!({"module": "keras.constraints", "class_name": class, "config": config, "registered_name": null});
        let min_max = json!({"min_value": 0.5, "max_value": 2.0, "rate": 1.0, "axis": 0});
        let pairs = [
            (Constraint::max_norm(3.0).axis([0, 1, 2]), keras("MaxNorm", json!({"max_value": 3.0, "axis": [0, 1, 2]}))),
            (Constraint::non_neg(), keras("NonNeg", json!({}))),
            (Constraint::unit_norm().axis([-1]), keras("UnitNorm", json!({"axis": -1}))),
            (Constraint::min_max_norm(0.5, 2.0), keras("MinMaxNorm", min_max)),
        ];
        for (constraint, json) in pairs {
            assert_eq!(serde_json::to_value(&constraint).unwrap(), json);
            assert_eq!(read(json), Ok(constraint));
        }
    }

    #[test]
    fn what_keras_2_writes_and_names_are_read() {
        let keras2 = json!({"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}});
        assert_eq!(read(keras2), Ok(Constraint::max_norm(2.0)));
        assert_eq!(read(json!("non_neg")), Ok(Constraint::NonNeg));
        assert_eq!(read(json!({"class_name": "MinMaxNorm", "config": {}})), Ok(Constraint::min_max_norm(0.0, 1.0)));
    }

    #[test]
    fn what_is_no_constraint_says_what_is_expected() {
        let expected = "expected a constraint (MaxNorm, MinMaxNorm, NonNeg, UnitNorm) with norms of 0 or more, found";
        assert_eq!(read(json!("max")), Err(format!("{expected} \"max\"")));
        let wrong =
            [json!({"max_value": -0.5}), json!({"max_value": "much"}), json!({"most": 0.5}), json!({"axis": 0.5})];
        for config in wrong {
            let error = read(json!({"class_name": "MaxNorm", "config": config})).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn norms_are_along_adjacent_axes() {
        let extents = |axes: &[i64]| Constraint::extents(axes, &[2, 3, 5, 7].into());
        assert_eq!(extents(&[0]), Some([1, 2, 105]));
        assert_eq!(extents(&[2, 1]), Some([2, 15, 7]));
        assert_eq!(extents(&[0, 1, 2]), Some([1, 30, 7]));
        assert_eq!(extents(&[-1]), Some([30, 7, 1]));
        assert_eq!([&[0, 2][..], &[4], &[-5], &[1, 1], &[]].map(extents), [None; 5]);
    }
}
