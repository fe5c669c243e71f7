//! `p = p - rate learning_rate p` before each step of an optimizer.

use std::fmt::{self, Debug};

use crate::{Error, Result};

/// Decoupled weight decay (Loshchilov and Hutter 2019), the `weight_decay` of all of Keras' optimizers:
/// `p = p - rate learning_rate p` before each step, without affecting gradients. By default all trainable variables
/// decay, including biases and the scales of normalization layers.
///
/// Layers can have their own rate: see [`LayerList::set_weight_decay`](crate::LayerList::set_weight_decay).
///
/// Unlike [`regularizers`](crate::layers::Regularizer), it adds nothing to the loss.
///
/// # Example
/// ```
/// use kiln::optimizers::{SGD, WeightDecay};
///
/// let all = SGD { weight_decay: 5e-4.into(), ..SGD::default() };
/// let kernels = WeightDecay::from(5e-4).exclude_from_weight_decay(["bias", "gamma", "beta"]);
/// let some = SGD { weight_decay: kernels, ..SGD::default() };
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct WeightDecay {
    /// The share of a parameter that decays in a step, divided by the learning rate; 0 for no decay.
    pub rate: f64,
    /// The excluded variables: see [`WeightDecay::exclude_from_weight_decay`].
    pub excluded: Vec<String>,
}

impl WeightDecay {
    /// No decay.
    pub const NONE: &'static WeightDecay = &WeightDecay { rate: 0.0, excluded: Vec::new() };

    /// Excludes variables from decay: those whose own names contain one of these texts (`bias` for all biases: Keras'
    /// `var_names`), or with one of these full names (`fc1/bias`: Keras' `var_list`).
    pub fn exclude_from_weight_decay<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> WeightDecay {
        self.excluded.extend(names.into_iter().map(Into::into));
        self
    }

    /// The rate of the variable `layer/variable`, given its layer's own rate, if any.
    pub(crate) fn rate_of(&self, variable: &str, layer: Option<f64>) -> f64 {
        match self.excluded.iter().any(|name| is_meant(name, variable)) {
            true => 0.0,
            false => layer.unwrap_or(self.rate),
        }
    }

    /// # Errors
    /// [`Error::Argument`] when the rate makes no sense, or none of these names of variables is excluded by a name that is.
    pub(crate) fn check(&self, variables: &[&str]) -> Result<()> {
        if !(self.rate.is_finite() && self.rate >= 0.0) {
            let expected = "a number, 0 or more".to_owned();
            return Err(Error::Argument { name: "weight_decay", expected, found: self.rate.to_string() });
        }
        let is_known = |name: &&String| variables.iter().any(|variable| is_meant(name, variable));
        let Some(unknown) = self.excluded.iter().find(|name| !is_known(name)) else { return Ok(()) };
        let mut own: Vec<&str> = variables.iter().copied().map(own_name).collect();
        own.sort_unstable();
        own.dedup();
        let expected = format!("part of a variable's name ({}) or layer/variable", own.join(", "));
        Err(Error::Argument { name: "exclude_from_weight_decay", expected, found: format!("`{unknown}`") })
    }
}

/// `kernel` of `fc1/kernel`.
fn own_name(variable: &str) -> &str {
    variable.rsplit('/').next().unwrap_or(variable)
}

fn is_meant(name: &str, variable: &str) -> bool {
    if name.contains('/') { name == variable } else { own_name(variable).contains(name) }
}

impl From<f64> for WeightDecay {
    fn from(rate: f64) -> WeightDecay {
        WeightDecay { rate, ..WeightDecay::default() }
    }
}

/// Only the rate, if no variable is excluded.
impl Debug for WeightDecay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.excluded.is_empty() {
            true => self.rate.fmt(f),
            false => write!(f, "{:?} but for {}", self.rate, self.excluded.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_are_variables_with_part_of_a_name_or_a_whole_one() {
        let decay = WeightDecay::from(0.1).exclude_from_weight_decay(["bias", "fc1/kernel"]);
        let names = ["fc1/kernel", "fc2/kernel", "fc1/bias", "bias_layer/kernel"];
        assert_eq!(names.map(|name| decay.rate_of(name, None)), [0.0, 0.1, 0.0, 0.1]);
        assert_eq!(names.map(|name| decay.rate_of(name, Some(0.5))), [0.0, 0.5, 0.0, 0.5]);
        assert_eq!(WeightDecay::from(0.1).rate_of("fc1/bias", None), 0.1);
        assert_eq!(WeightDecay::NONE.rate_of("fc1/kernel", None), 0.0);
    }

    #[test]
    fn a_decay_prints_as_its_rate() {
        assert_eq!(format!("{:?}", WeightDecay::from(0.004)), "0.004");
        let some = WeightDecay::from(0.004).exclude_from_weight_decay(["bias", "gamma"]);
        assert_eq!(format!("{some:?}"), "0.004 but for bias, gamma");
    }
}
