//! Learning rate factors and weight decays of individual variables.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A variable's own learning rate and weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ParameterGroup {
    /// The factor of the learning rate.
    pub learning_rate_factor: f64,
    /// The rate of the weight decay, instead of the optimizer's.
    pub weight_decay: Option<f64>,
}

impl Default for ParameterGroup {
    /// The optimizer's settings.
    fn default() -> ParameterGroup {
        ParameterGroup { learning_rate_factor: 1.0, weight_decay: None }
    }
}

impl ParameterGroup {
    /// # Errors
    /// [`Error::Argument`] for numbers that are negative or not finite.
    pub fn check(&self) -> Result<()> {
        let factor = ("learning_rate_factor", Some(self.learning_rate_factor));
        for (name, value) in [factor, ("weight_decay", self.weight_decay)] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
                let expected = "a number, 0 or more".to_owned();
                return Err(Error::Argument { name, expected, found: value.to_string() });
            }
        }
        Ok(())
    }
}
