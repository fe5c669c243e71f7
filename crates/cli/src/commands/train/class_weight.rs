//! `--class-weight`: the weights of classes in the loss, as `class=weight,…`.

use std::collections::BTreeMap;
use std::fmt;

use kiln::data::Dataset;

use crate::error::Error;

/// The weight of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassWeight {
    class: String,
    weight: f32,
}

impl ClassWeight {
    /// Parses `cat=2` or `0=2`.
    ///
    /// # Errors
    /// If it is not a class with a weight.
    pub fn parse(text: &str) -> Result<ClassWeight, String> {
        let (class, weight) = text.rsplit_once('=').ok_or("expected class=weight")?;
        let number = weight.parse().ok().filter(|weight: &f32| weight.is_finite() && *weight >= 0.0);
        let weight = number.ok_or_else(|| format!("expected a weight of 0 or more, found `{weight}`"))?;
        Ok(ClassWeight { class: class.to_owned(), weight })
    }
}

impl fmt::Display for ClassWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.class, self.weight)
    }
}

/// Resolves classes of a data set by name or else by number.
///
/// # Errors
/// If there is no such class, or a class is duplicate.
pub fn resolve(weights: &[ClassWeight], data: &Dataset) -> Result<Option<BTreeMap<usize, f32>>, Error> {
    let mut found = BTreeMap::new();
    for ClassWeight { class, weight } in weights {
        let problem = |problem| Err(Error::Option { option: "--class-weight", problem });
        let named = data.class_names().iter().position(|name| name == class);
        let Some(index) = named.or_else(|| class.parse().ok().filter(|&index| index < data.classes())) else {
            let names = data.class_names().join(", ");
            let names = if names.is_empty() { names } else { format!("{names}, or ") };
            let last = data.classes().saturating_sub(1);
            return problem(format!("expected {names}a class's number, 0 to {last}, found `{class}`"));
        };
        if found.insert(index, *weight).is_some() {
            return problem(format!("expected each class once, found `{class}` twice"));
        }
    }
    Ok((!found.is_empty()).then_some(found))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln::data::Labels;

    use super::*;

    fn resolved(texts: &[&str]) -> Result<Option<BTreeMap<usize, f32>>, String> {
        let data = Dataset::from_u8([1], vec![0; 3], Labels::index(vec![0, 1, 2], 3)).unwrap();
        let data = data.with_class_names(["cat", "dog", "0"].map(str::to_owned).into()).unwrap();
        let weights: Vec<ClassWeight> = texts.iter().map(|text| ClassWeight::parse(text).unwrap()).collect();
        resolve(&weights, &data).map_err(|error| error.to_string())
    }

    #[test]
    fn classes_are_found_by_name_and_then_by_number() {
        assert_eq!(resolved(&[]).unwrap(), None);
        assert_eq!(resolved(&["dog=2", "0=0.5"]).unwrap(), Some([(1, 2.0), (2, 0.5)].into()));
        assert_eq!(resolved(&["1=3"]).unwrap(), Some([(1, 3.0)].into()));
    }

    #[test]
    fn a_class_that_is_not_there_is_named() {
        let expected = "--class-weight: expected cat, dog, 0, or a class's number, 0 to 2, found `7`";
        assert_eq!(resolved(&["7=100"]).unwrap_err(), expected);
        assert_eq!(
            resolved(&["dog=1", "1=2"]).unwrap_err(),
            "--class-weight: expected each class once, found `1` twice"
        );
        for wrong in ["dog", "dog=", "dog=-1", "dog=nan"] {
            assert!(ClassWeight::parse(wrong).is_err(), "{wrong}");
        }
    }
}
