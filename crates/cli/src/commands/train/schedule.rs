//! `--schedule`: learning-rate schedules, as `name:arguments`.

use std::fmt;

use clap::ValueEnum;
use kiln::optimizers::LearningRate;
use kiln::optimizers::schedules::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::commands::spec;

/// The value of `--schedule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    name: Name,
    arguments: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    Polynomial,
    Piecewise,
}

/// The length of a training.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// The steps per epoch.
    pub steps_per_epoch: u64,
    /// Unknown if only time limits the training.
    pub epochs: Option<usize>,
}

/// A number of steps, in steps or in epochs.
type Span = (Option<u64>, Option<f64>);

impl Length {
    fn steps(self, name: &str, (steps, epochs): Span) -> Result<Option<u64>, String> {
        match (steps, epochs) {
            (Some(_), Some(_)) => Err(format!("expected {name}_steps or {name}_epochs, found both")),
            (None, Some(epochs)) if !(epochs.is_finite() && epochs >= 0.0) => {
                Err(format!("expected {name}_epochs as a number, 0 or more, found {epochs}"))
            }
            (steps, epochs) => Ok(steps.or(epochs.map(|epochs| (epochs * self.steps_per_epoch as f64).round() as u64))),
        }
    }

    fn needed(self, name: &str, span: Span) -> Result<u64, String> {
        self.steps(name, span)?.ok_or_else(|| format!("expected {name}_steps or {name}_epochs, found neither"))
    }

    /// The span, by default the whole training less `less` steps.
    fn or_all(self, name: &str, span: Span, less: u64) -> Result<u64, String> {
        let all = || self.epochs.map(|epochs| (epochs as u64 * self.steps_per_epoch).saturating_sub(less).max(1));
        self.steps(name, span)?.or_else(all).ok_or_else(|| {
            format!("expected {name}_steps or {name}_epochs, as --minutes leaves the number of epochs open")
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cosine {
    decay_steps: Option<u64>,
    decay_epochs: Option<f64>,
    #[serde(default)]
    alpha: f64,
    warmup_target: Option<f64>,
    warmup_steps: Option<u64>,
    warmup_epochs: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CosineRestarts {
    first_decay_steps: Option<u64>,
    first_decay_epochs: Option<f64>,
    t_mul: Option<f64>,
    m_mul: Option<f64>,
    alpha: Option<f64>,
}

/// The arguments of exponential and inverse-time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Falling {
    decay_rate: f64,
    decay_steps: Option<u64>,
    decay_epochs: Option<f64>,
    #[serde(default)]
    staircase: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Polynomial {
    decay_steps: Option<u64>,
    decay_epochs: Option<f64>,
    end_learning_rate: Option<f64>,
    power: Option<f64>,
    #[serde(default)]
    cycle: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Piecewise {
    boundaries: Option<Vec<u64>>,
    boundary_epochs: Option<Vec<f64>>,
    values: Vec<f64>,
}

impl Schedule {
    /// Parses `cosine` or `cosine:decay_epochs=20,alpha=0.01`.
    ///
    /// # Errors
    /// If it is invalid for every length of training.
    pub fn parse(text: &str) -> Result<Schedule, String> {
        let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
        let names = || Name::value_variants().iter().map(|name| name.word()).collect::<Vec<_>>().join(", ");
        let name = Name::from_str(name, false).map_err(|_| format!("expected one of {}, found `{name}`", names()))?;
        let schedule = Schedule { name, arguments: arguments.to_owned() };
        schedule.learning_rate(0.1, Length { steps_per_epoch: 100, epochs: Some(100) })?;
        Ok(schedule)
    }

    /// The `decay` of Keras 2's optimizers.
    pub fn keras_2_decay(initial: f64, decay: f64) -> LearningRate {
        InverseTimeDecay::new(initial, 1, decay).into()
    }

    /// Whether its rates are absolute, without an initial rate.
    pub fn has_rates(&self) -> bool {
        self.name == Name::Piecewise
    }

    /// The learning-rate schedule of a training that starts at `initial`; a warm-up without `warmup_target` rises from
    /// 0 to it.
    ///
    /// # Errors
    /// If an argument is invalid.
    pub fn learning_rate(&self, initial: f64, length: Length) -> Result<LearningRate, String> {
        let rate: LearningRate = match self.name {
            Name::Cosine => cosine(self.arguments()?, initial, length)?.into(),
            Name::CosineRestarts => {
                let CosineRestarts { first_decay_steps, first_decay_epochs, t_mul, m_mul, alpha } = self.arguments()?;
                let steps = length.needed("first_decay", (first_decay_steps, first_decay_epochs))?;
                let default = CosineDecayRestarts::new(initial, steps);
                CosineDecayRestarts {
                    t_mul: t_mul.unwrap_or(default.t_mul),
                    m_mul: m_mul.unwrap_or(default.m_mul),
                    alpha: alpha.unwrap_or(default.alpha),
                    ..default
                }
                .into()
            }
            Name::Exponential => {
                let Falling { decay_rate, decay_steps, decay_epochs, staircase } = self.arguments()?;
                let decay_steps = length.needed("decay", (decay_steps, decay_epochs))?;
                ExponentialDecay { staircase, ..ExponentialDecay::new(initial, decay_steps, decay_rate) }.into()
            }
            Name::InverseTime => {
                let Falling { decay_rate, decay_steps, decay_epochs, staircase } = self.arguments()?;
                let decay_steps = length.needed("decay", (decay_steps, decay_epochs))?;
                InverseTimeDecay { staircase, ..InverseTimeDecay::new(initial, decay_steps, decay_rate) }.into()
            }
            Name::Polynomial => {
                let Polynomial { decay_steps, decay_epochs, end_learning_rate, power, cycle } = self.arguments()?;
                let decay_steps = length.or_all("decay", (decay_steps, decay_epochs), 0)?;
                let default = PolynomialDecay::new(initial, decay_steps);
                PolynomialDecay {
                    end_learning_rate: end_learning_rate.unwrap_or(default.end_learning_rate),
                    power: power.unwrap_or(default.power),
                    cycle,
                    ..default
                }
                .into()
            }
            Name::Piecewise => {
                let Piecewise { boundaries, boundary_epochs, values } = self.arguments()?;
                let per_epoch = length.steps_per_epoch as f64;
                let of_epochs =
                    |epochs: Vec<f64>| epochs.iter().map(|epoch| (epoch * per_epoch).round() as u64).collect();
                let boundaries = match (boundaries, boundary_epochs) {
                    (Some(_), Some(_)) => return Err("expected boundaries or boundary_epochs, found both".to_owned()),
                    (boundaries, epochs) => boundaries.or(epochs.map(of_epochs)).unwrap_or_default(),
                };
                PiecewiseConstantDecay { boundaries, values }.into()
            }
        };
        if let LearningRate::Schedule(schedule) = &rate {
            schedule.check().map_err(|error| error.to_string())?;
        }
        Ok(rate)
    }

    fn arguments<T: DeserializeOwned>(&self) -> Result<T, String> {
        spec::parse(&self.arguments)
    }
}

fn cosine(arguments: Cosine, initial: f64, length: Length) -> Result<CosineDecay, String> {
    let Cosine { decay_steps, decay_epochs, alpha, warmup_target, warmup_steps, warmup_epochs } = arguments;
    let warmup_steps = length.steps("warmup", (warmup_steps, warmup_epochs))?.unwrap_or(0);
    let decay_steps = length.or_all("decay", (decay_steps, decay_epochs), warmup_steps)?;
    let (initial_learning_rate, warmup_target) = match warmup_target {
        None if warmup_steps > 0 => (0.0, Some(initial)),
        target => (initial, target),
    };
    Ok(CosineDecay { initial_learning_rate, decay_steps, alpha, warmup_target, warmup_steps })
}

impl Name {
    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.word())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LENGTH: Length = Length { steps_per_epoch: 10, epochs: Some(5) };

    fn rates(text: &str, steps: &[u64]) -> Vec<f32> {
        let rate = Schedule::parse(text).unwrap().learning_rate(0.5, LENGTH).unwrap();
        steps.iter().map(|&step| (rate.at(step) * 1e5).round() / 1e5).collect()
    }

    #[test]
    fn a_cosine_falls_over_the_whole_training_unless_its_length_is_given() {
        assert_eq!(rates("cosine", &[0, 25, 50]), [0.5, 0.25, 0.0]);
        assert_eq!(rates("cosine:decay_epochs=2,alpha=0.5", &[0, 20, 40]), [0.5, 0.25, 0.25]);
        assert_eq!(rates("cosine:decay_steps=10", &[0, 5, 10]), [0.5, 0.25, 0.0]);
    }

    #[test]
    fn a_warm_up_rises_to_the_learning_rate_or_from_it() {
        assert_eq!(rates("cosine:warmup_epochs=1", &[0, 5, 10, 30, 50]), [0.0, 0.25, 0.5, 0.25, 0.0]);
        assert_eq!(rates("cosine:warmup_steps=10,warmup_target=1", &[0, 5, 10, 50]), [0.5, 0.75, 1.0, 0.0]);
    }

    #[test]
    fn all_of_kerases_schedules_have_a_name() {
        assert_eq!(rates("cosine-restarts:first_decay_epochs=1,m_mul=0.5", &[0, 5, 10, 20]), [0.5, 0.25, 0.25, 0.125]);
        assert_eq!(rates("exponential:decay_rate=0.5,decay_epochs=1,staircase", &[0, 9, 10]), [0.5, 0.5, 0.25]);
        assert_eq!(rates("inverse-time:decay_rate=1,decay_steps=10", &[0, 10]), [0.5, 0.25]);
        assert_eq!(rates("polynomial:end_learning_rate=0", &[0, 25, 50]), [0.5, 0.25, 0.0]);
        assert_eq!(
            rates("piecewise:boundary_epochs=[1,2],values=[1,0.5,0.25]", &[0, 10, 11, 21]),
            [1.0, 1.0, 0.5, 0.25]
        );
    }

    #[test]
    fn what_is_not_known_or_missing_is_named() {
        let error = |text: &str| Schedule::parse(text).unwrap_err();
        assert!(error("cosin").starts_with("expected one of cosine, cosine-restarts, "), "{}", error("cosin"));
        assert!(error("cosine:alfa=0.1").contains("unknown field `alfa`"));
        assert!(error("exponential:decay_steps=10").contains("missing field `decay_rate`"));
        assert_eq!(error("exponential:decay_rate=0.9"), "expected decay_steps or decay_epochs, found neither");
        assert_eq!(error("cosine:decay_steps=1,decay_epochs=1"), "expected decay_steps or decay_epochs, found both");
        assert_eq!(error("cosine:decay_steps=0"), "decay_steps: expected at least 1, found 0");
        assert!(error("piecewise:boundaries=[5],values=[1]").starts_with("values: expected 2"));
        let open = Length { epochs: None, ..LENGTH };
        let error = Schedule::parse("cosine").unwrap().learning_rate(0.5, open).unwrap_err();
        assert!(error.contains("--minutes"), "{error}");
    }
}
