//! Named numbers.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Ordered named numbers: the values of a model's metrics, with Keras' names.
///
/// # Example
/// ```
/// use kiln::Figures;
///
/// let figures = Figures::from([("accuracy", 0.75), ("mean_squared_error", 0.25)]);
/// assert_eq!(figures.get("accuracy"), Some(0.75));
/// assert_eq!(figures.iter().count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(Vec<(Arc<str>, f64)>);

impl Figures {
    /// The figure with this name, if any.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All figures.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// Whether there are no figures.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The figures with the prefix `val_`.
    pub(crate) fn of_validation(&self) -> Figures {
        self.iter().map(|(name, value)| (format!("val_{name}").into(), value)).collect()
    }
}

impl FromIterator<(Arc<str>, f64)> for Figures {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, f64)>>(figures: I) -> Figures {
        Figures(figures.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, f64); N]> for Figures {
    fn from(figures: [(&str, f64); N]) -> Figures {
        figures.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

/// Prints figures as Keras does: `loss: 0.2500 - accuracy: 0.9000`.
pub(crate) fn write_figures(f: &mut fmt::Formatter<'_>, figures: &[(&str, f64)]) -> fmt::Result {
    for (place, (name, value)) in figures.iter().enumerate() {
        write!(f, "{}{name}: {value:.4}", if place == 0 { "" } else { " - " })?;
    }
    Ok(())
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Figures {
    /// NaN and infinity, which JSON cannot represent, are read from `null`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Figures, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Figures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers with names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figures, A::Error> {
                let mut figures = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
                    figures.push((name.into(), value.unwrap_or(f64::NAN)));
                }
                Ok(Figures(figures))
            }
        }
        deserializer.deserialize_map(Map)
    }
}
