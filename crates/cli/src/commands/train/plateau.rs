//! `--reduce-lr-on-plateau`: the arguments of Keras' ReduceLROnPlateau as text.

use std::sync::Arc;

use kiln::callbacks::{Mode, ReduceLROnPlateau};
use kiln::metrics::Metric;
use serde::Deserialize;

use crate::commands::spec;
use crate::error::Error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    monitor: Option<String>,
    factor: Option<f64>,
    patience: Option<usize>,
    mode: Option<String>,
    min_delta: Option<f64>,
    cooldown: Option<usize>,
    min_lr: Option<f64>,
}

/// Parses the value of `--reduce-lr-on-plateau`, with Keras' defaults.
///
/// # Errors
/// If an argument is unknown or invalid.
pub fn parse(text: &str) -> Result<ReduceLROnPlateau, String> {
    let Arguments { monitor, factor, patience, mode, min_delta, cooldown, min_lr } = spec::parse(text)?;
    let default = ReduceLROnPlateau::default();
    let mode = match mode.as_deref() {
        None | Some("auto") => Mode::Auto,
        Some("min") => Mode::Min,
        Some("max") => Mode::Max,
        Some(other) => return Err(format!("expected the mode auto, min or max, found `{other}`")),
    };
    let factor = factor.unwrap_or(default.factor);
    if !(0.0..1.0).contains(&factor) {
        return Err(format!("expected a factor of 0 or more and less than 1, found {factor}"));
    }
    Ok(ReduceLROnPlateau {
        monitor: monitor.unwrap_or(default.monitor),
        factor,
        patience: patience.unwrap_or(default.patience),
        mode,
        min_delta: min_delta.unwrap_or(default.min_delta),
        cooldown: cooldown.unwrap_or(default.cooldown),
        min_lr: min_lr.unwrap_or(default.min_lr),
        ..Default::default()
    })
}

/// # Errors
/// If the training has no figure with the name of the monitor.
pub fn check(rule: &ReduceLROnPlateau, metrics: &[Arc<dyn Metric>], validates: bool) -> Result<(), Error> {
    let names = std::iter::once("loss").chain(metrics.iter().map(|metric| metric.name()));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    if validates {
        names.extend(names.clone().into_iter().map(|name| format!("val_{name}")));
    }
    match names.contains(&rule.monitor) {
        true => Ok(()),
        false => Err(Error::Option {
            option: "--reduce-lr-on-plateau",
            problem: format!("expected a monitor of {}, found `{}`", names.join(", "), rule.monitor),
        }),
    }
}

/// The rule as text for [`parse`].
pub fn words(rule: &ReduceLROnPlateau) -> String {
    let ReduceLROnPlateau { monitor, factor, patience, mode, min_delta, cooldown, min_lr, .. } = rule;
    let mode = match mode {
        Mode::Auto => "auto",
        Mode::Min => "min",
        Mode::Max => "max",
    };
    format!(
        "monitor={monitor},factor={factor},patience={patience},mode={mode},min_delta={min_delta},cooldown={cooldown},\
         min_lr={min_lr}"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_not_said_is_kerases_default() {
        let plain = parse("").unwrap();
        assert_eq!((plain.factor, plain.patience, plain.monitor.as_str()), (0.1, 10, "val_loss"));
        let other = parse("factor=0.5,patience=3,monitor=val_accuracy,mode=max,min_lr=1e-6").unwrap();
        assert_eq!((other.factor, other.patience, other.min_lr), (0.5, 3, 1e-6));
        assert!(other.monitor == "val_accuracy" && other.mode == Mode::Max);
        assert_eq!(words(&parse(&words(&other)).unwrap()), words(&other));
        assert!(parse("factor=2").is_err() && parse("mode=up").is_err() && parse("patiance=3").is_err());
    }
    #[test]
    fn the_figure_that_is_watched_is_one_of_the_trainings() {
        let error = |monitor: &str, validates| {
            let rule = parse(&format!("monitor={monitor}")).unwrap();
            check(&rule, &[kiln::metrics::Accuracy.into()], validates).err().map(|error| error.to_string())
        };
        assert_eq!((error("val_loss", true), error("accuracy", false)), (None, None));
        let expected =
            "--reduce-lr-on-plateau: expected a monitor of loss, accuracy, val_loss, val_accuracy, found `foo`";
        assert_eq!(error("foo", true).as_deref(), Some(expected));
        assert!(error("val_loss", false).is_some());
    }
}
