//! The monitored figure of a callback, and its improvements.

use crate::history::EpochLogs;
use crate::{Error, Result};

/// The direction in which a figure improves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Inferred from the figure's name: losses and errors decrease, accuracies increase.
    #[default]
    Auto,
    /// Smaller is better.
    Min,
    /// Larger is better.
    Max,
}

/// The definition of an improvement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Improvement {
    /// Whether larger is better.
    up: bool,
    /// The minimum change that is an improvement, 0 or more.
    min_delta: f64,
}

impl Improvement {
    /// # Errors
    /// [`Error::Argument`] if the mode is `Auto` and the direction cannot be inferred from the figure's name.
    pub fn new(mode: Mode, monitor: &str, min_delta: f64) -> Result<Improvement> {
        let min_delta = min_delta.abs();
        let up = match mode {
            Mode::Min => false,
            Mode::Max => true,
            Mode::Auto => improves_upwards(monitor.strip_prefix("val_").unwrap_or(monitor)).ok_or_else(|| {
                let expected = format!(
                    "Mode::Min or Mode::Max, because the direction cannot be inferred from the name `{monitor}`"
                );
                Error::Argument { name: "mode", expected, found: "Mode::Auto".to_owned() }
            })?,
        };
        Ok(Improvement { up, min_delta })
    }

    /// Whether a value is better than the best so far. Values are compared as f32, as in Keras, which ignores smaller
    /// differences. NaN is never better.
    pub fn is(&self, value: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return !value.is_nan() };
        if self.up {
            (value - self.min_delta) as f32 > best as f32
        } else {
            ((value + self.min_delta) as f32) < best as f32
        }
    }
}

fn improves_upwards(name: &str) -> Option<bool> {
    let up = name.ends_with("accuracy") || name == "acc";
    let down = name == "loss" || name.ends_with("_loss") || name.ends_with("_error") || name == "mse" || name == "mae";
    (up || down).then_some(up)
}

/// The figure with this name.
///
/// # Errors
/// [`Error::Argument`] if the epoch has no such figure, with the names of its figures.
pub(super) fn figure(logs: &EpochLogs, monitor: &str) -> Result<f64> {
    logs.get(monitor).ok_or_else(|| {
        let names: Vec<&str> = logs.figures().into_iter().map(|(name, _)| name).collect();
        let expected = format!("one of {} (those of a validation need validation data)", names.join(", "));
        Error::Argument { name: "monitor", expected, found: format!("`{monitor}`") }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::figures::Figures;

    #[test]
    fn losses_and_errors_improve_downwards_and_accuracies_upwards() {
        for name in ["loss", "val_loss", "val_mean_squared_error", "mae"] {
            assert!(!Improvement::new(Mode::Auto, name, 0.0).unwrap().up, "{name}");
        }
        for name in ["accuracy", "val_accuracy", "val_top_k_categorical_accuracy"] {
            assert!(Improvement::new(Mode::Auto, name, 0.0).unwrap().up, "{name}");
        }
        assert!(!Improvement::new(Mode::Min, "accuracy", 0.0).unwrap().up);
        let error = Improvement::new(Mode::Auto, "val_beauty", 0.0).unwrap_err().to_string();
        assert!(error.starts_with("mode: expected Mode::Min or Mode::Max, because the direction cannot be inferred from the name `val_beauty`"), "{error}");
    }

    #[test]
    fn an_improvement_is_more_than_min_delta_whatever_its_sign() {
        for min_delta in [0.25, -0.25] {
            let down = Improvement::new(Mode::Min, "loss", min_delta).unwrap();
            assert_eq!([0.7, 0.75, 0.8].map(|value| down.is(value, Some(1.0))), [true, false, false]);
            let up = Improvement::new(Mode::Max, "loss", min_delta).unwrap();
            assert_eq!([1.2, 1.25, 1.3].map(|value| up.is(value, Some(1.0))), [false, false, true]);
        }
    }

    #[test]
    fn what_is_no_number_is_no_improvement() {
        let down = Improvement::new(Mode::Min, "loss", 0.0).unwrap();
        assert!(!down.is(f64::NAN, None) && !down.is(f64::NAN, Some(1.0)) && down.is(f64::INFINITY, None));
    }

    #[test]
    fn a_figure_that_is_not_there_is_an_error_that_lists_those_that_are() {
        let metrics = Figures::from([("accuracy", 0.75)]);
        let logs = EpochLogs { loss: 0.5, metrics, ..EpochLogs::default() };
        assert_eq!(figure(&logs, "loss").unwrap(), 0.5);
        let error = figure(&logs, "val_loss").unwrap_err().to_string();
        assert!(error.starts_with("monitor: expected one of loss, accuracy (") && error.ends_with("found `val_loss`"));
    }
}
