//! Arguments of `compile` for each output of a model.

use crate::{Error, Result};

/// An argument of [`Compile`](crate::Compile) for each output of a model, as in Keras: the same for all outputs, one for
/// each in their order, or by the outputs' names ([`Model::output_shapes`](crate::Model::output_shapes)).
///
/// # Example
/// Keras' `loss={"class": "sparse_categorical_crossentropy", "position": "mse"}` and `loss_weights={"position": 0.5}`:
/// ```
/// use kiln::losses::{MeanSquaredError, SparseCategoricalCrossentropy};
/// use kiln::{Compile, PerOutput};
///
/// let compile = Compile {
///     loss: PerOutput::named([
///         ("class", SparseCategoricalCrossentropy::default().into()),
///         ("position", MeanSquaredError.into()),
///     ]),
///     loss_weights: PerOutput::named([("position", 0.5)]),
///     ..Compile::default()
/// };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum PerOutput<T> {
    /// The same for each output: `MeanSquaredError.into()`.
    Each(T),
    /// One for each output, in the order of the outputs.
    List(Vec<T>),
    /// By the names of the outputs. Outputs that are not named have none.
    Named(Vec<(String, T)>),
}

impl<T> From<T> for PerOutput<T> {
    fn from(value: T) -> PerOutput<T> {
        PerOutput::Each(value)
    }
}

impl<T> PerOutput<T> {
    /// One for each output, in the order of the outputs: Keras' list.
    pub fn list(values: impl IntoIterator<Item = T>) -> PerOutput<T> {
        PerOutput::List(values.into_iter().collect())
    }

    /// By the names of the outputs: Keras' dictionary.
    pub fn named<N: Into<String>>(values: impl IntoIterator<Item = (N, T)>) -> PerOutput<T> {
        PerOutput::Named(values.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let (each, list, named): (_, &[T], &[(String, T)]) = match self {
            PerOutput::Each(value) => (Some(value), &[], &[]),
            PerOutput::List(values) => (None, values, &[]),
            PerOutput::Named(values) => (None, &[], values),
        };
        each.into_iter().chain(list).chain(named.iter().map(|(_, value)| value))
    }

    /// The value for each output of a model with outputs of these names.
    ///
    /// # Errors
    /// [`Error::Argument`] if a list has another length, or not exactly one output has a name.
    pub(crate) fn resolve(&self, argument: &'static str, outputs: &[&str]) -> Result<Vec<Option<&T>>> {
        match self {
            PerOutput::Each(value) => Ok(vec![Some(value); outputs.len()]),
            PerOutput::List(values) if values.len() == outputs.len() => Ok(values.iter().map(Some).collect()),
            PerOutput::List(values) => {
                let expected = format!("one for each output ({})", outputs.join(", "));
                Err(Error::Argument { name: argument, expected, found: values.len().to_string() })
            }
            PerOutput::Named(values) => {
                let mut resolved = vec![None; outputs.len()];
                for (name, value) in values {
                    let output = &mut resolved[output_of(argument, name, outputs)?];
                    if output.replace(value).is_some() {
                        let expected = "one for each output".to_owned();
                        return Err(Error::Argument { name: argument, expected, found: format!("two for `{name}`") });
                    }
                }
                Ok(resolved)
            }
        }
    }
}

/// The index of the output with a name.
///
/// # Errors
/// [`Error::Argument`] if not exactly one output has it.
pub(crate) fn output_of(argument: &'static str, name: &str, outputs: &[&str]) -> Result<usize> {
    let mut found = (0..outputs.len()).filter(|&index| outputs[index] == name);
    match (found.next(), found.next()) {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => {
            let expected = "a name of one output; give a list in the order of the outputs".to_owned();
            Err(Error::Argument { name: argument, expected, found: format!("`{name}`, the name of several") })
        }
        (None, _) => {
            let expected = format!("the name of an output ({})", outputs.join(", "));
            Err(Error::Argument { name: argument, expected, found: format!("`{name}`") })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn resolved(argument: &PerOutput<i32>) -> std::result::Result<Vec<Option<i32>>, String> {
        let values = argument.resolve("loss", &["a", "b", "twice", "twice"]);
        values.map(|values| values.into_iter().map(|value| value.copied()).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_value_is_for_each_output_a_list_in_order_and_names_for_some() {
        assert_eq!(resolved(&7.into()), Ok(vec![Some(7); 4]));
        assert_eq!(resolved(&PerOutput::list([1, 2, 3, 4])), Ok(vec![Some(1), Some(2), Some(3), Some(4)]));
        assert_eq!(resolved(&PerOutput::named([("b", 2)])), Ok(vec![None, Some(2), None, None]));
    }

    #[test]
    fn names_and_numbers_of_outputs_are_checked() {
        let error = |argument: PerOutput<i32>| resolved(&argument).unwrap_err();
        let of_all = "(a, b, twice, twice)";
        assert_eq!(error(PerOutput::list([1])), format!("loss: expected one for each output {of_all}, found 1"));
        assert_eq!(
            error(PerOutput::named([("c", 1)])),
            format!("loss: expected the name of an output {of_all}, found `c`")
        );
        assert_eq!(
            error(PerOutput::named([("a", 1), ("a", 2)])),
            "loss: expected one for each output, found two for `a`"
        );
        assert!(error(PerOutput::named([("twice", 1)])).ends_with("found `twice`, the name of several"));
    }
}
