//! Learning rates that depend on the number of steps that were taken, by Keras' names and formulas, in f32 as Keras
//! computes them. `step` is the number of steps before the one whose rate is asked for; the first has 0.

use super::Schedule;
use crate::{Error, Result};

/// # Errors
/// When there are no steps to divide by.
fn check_steps(decay_steps: u64) -> Result<()> {
    match decay_steps {
        0 => Err(Error::Argument { name: "decay_steps", expected: "at least 1".to_owned(), found: "0".to_owned() }),
        _ => Ok(()),
    }
}

/// `initial_learning_rate decay_rate^(step / decay_steps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialDecay {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// After how many steps the rate is `decay_rate` times what it was.
    pub decay_steps: u64,
    /// What remains of the rate after so many steps.
    pub decay_rate: f64,
    /// Whether the exponent is rounded down, so that the rate falls every `decay_steps` steps.
    pub staircase: bool,
}

impl ExponentialDecay {
    /// A rate that decays with every step.
    pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> ExponentialDecay {
        ExponentialDecay { initial_learning_rate, decay_steps, decay_rate, staircase: false }
    }
}

impl Schedule for ExponentialDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let p = step as f32 / self.decay_steps as f32;
        let p = if self.staircase { p.floor() } else { p };
        self.initial_learning_rate as f32 * (self.decay_rate as f32).powf(p)
    }

    fn check(&self) -> Result<()> {
        check_steps(self.decay_steps)
    }
}

/// `initial_learning_rate / (1 + decay_rate step / decay_steps)`. With `decay_steps` 1 this is the `decay` that Keras 2's
/// optimizers take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverseTimeDecay {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// The unit in which `decay_rate` counts steps.
    pub decay_steps: u64,
    /// How fast the rate falls.
    pub decay_rate: f64,
    /// Whether `step / decay_steps` is rounded down, so that the rate falls every `decay_steps` steps.
    pub staircase: bool,
}

impl InverseTimeDecay {
    /// A rate that decays with every step.
    pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> InverseTimeDecay {
        InverseTimeDecay { initial_learning_rate, decay_steps, decay_rate, staircase: false }
    }
}

impl Schedule for InverseTimeDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let p = step as f32 / self.decay_steps as f32;
        let p = if self.staircase { p.floor() } else { p };
        self.initial_learning_rate as f32 / (1.0 + self.decay_rate as f32 * p)
    }

    fn check(&self) -> Result<()> {
        check_steps(self.decay_steps)
    }
}

/// `values[i]` up to and with step `boundaries[i]`, and the last of the values after the last boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct PiecewiseConstantDecay {
    /// The last step of each rate but the last, rising.
    pub boundaries: Vec<u64>,
    /// The rates, one more than there are boundaries.
    pub values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// The rates between these steps.
    pub fn new(boundaries: impl Into<Vec<u64>>, values: impl Into<Vec<f64>>) -> PiecewiseConstantDecay {
        PiecewiseConstantDecay { boundaries: boundaries.into(), values: values.into() }
    }
}

impl Schedule for PiecewiseConstantDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let passed = self.boundaries.iter().filter(|&&boundary| step > boundary).count();
        self.values.get(passed).map_or(f32::NAN, |&value| value as f32)
    }

    fn check(&self) -> Result<()> {
        let argument = |name, expected: String, found: String| Err(Error::Argument { name, expected, found });
        if self.values.len() != self.boundaries.len() + 1 {
            let expected = format!("{}, one more than boundaries", self.boundaries.len() + 1);
            return argument("values", expected, self.values.len().to_string());
        }
        if !self.boundaries.is_sorted_by(|a, b| a < b) {
            return argument("boundaries", "steps that rise".to_owned(), format!("{:?}", self.boundaries));
        }
        Ok(())
    }
}

/// `(initial_learning_rate - end_learning_rate) (1 - step / decay_steps)^power + end_learning_rate`, which stays at the
/// end after `decay_steps` steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolynomialDecay {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// How many steps it takes to the last rate.
    pub decay_steps: u64,
    /// The last rate.
    pub end_learning_rate: f64,
    /// How the rate falls: 1 along a line.
    pub power: f64,
    /// Whether to begin again when the end is reached, from where a longer decay would be then: `decay_steps` counts as
    /// its first multiple that is no less than `step`.
    pub cycle: bool,
}

impl PolynomialDecay {
    /// A rate that falls along a line to 0.0001.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> PolynomialDecay {
        PolynomialDecay { initial_learning_rate, decay_steps, end_learning_rate: 0.0001, power: 1.0, cycle: false }
    }
}

impl Schedule for PolynomialDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let [first, last] = [self.initial_learning_rate, self.end_learning_rate].map(|rate| rate as f32);
        let (step, steps) = (step as f32, self.decay_steps as f32);
        let p = match self.cycle {
            true => step / (steps * (step / steps).ceil().max(1.0)),
            false => step.min(steps) / steps,
        };
        (first - last) * (1.0 - p).powf(self.power as f32) + last
    }

    fn check(&self) -> Result<()> {
        check_steps(self.decay_steps)
    }
}

/// `initial_learning_rate ((1 - alpha) (1 + cos(pi step / decay_steps)) / 2 + alpha)`, which stays at the end after
/// `decay_steps` steps (Loshchilov and Hutter 2017). With a `warmup_target`, the rate first rises along a line from
/// `initial_learning_rate` to it, in `warmup_steps` steps, and then falls from there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecay {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// How many steps it takes to fall.
    pub decay_steps: u64,
    /// The last rate, as a share of the one from which it falls.
    pub alpha: f64,
    /// Where the rate rises to before it falls, if it does.
    pub warmup_target: Option<f64>,
    /// How many steps it takes to rise.
    pub warmup_steps: u64,
}

impl CosineDecay {
    /// A rate that falls to 0 from the first step on.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> CosineDecay {
        CosineDecay { initial_learning_rate, decay_steps, alpha: 0.0, warmup_target: None, warmup_steps: 0 }
    }
}

impl Schedule for CosineDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let (initial, step, alpha) = (self.initial_learning_rate as f32, step as f32, self.alpha as f32);
        let (decay_steps, warmup_steps) = (self.decay_steps as f32, self.warmup_steps as f32);
        let fall = |from: f32, step: f32| {
            let cosine = 0.5 * (1.0 + (std::f32::consts::PI * (step / decay_steps)).cos());
            from * ((1.0 - self.alpha) as f32 * cosine + alpha)
        };
        match self.warmup_target.map(|target| target as f32) {
            None => fall(initial, step.min(decay_steps)),
            Some(target) if step < warmup_steps => (target - initial) * (step / warmup_steps) + initial,
            Some(target) => fall(target, step.min(decay_steps + warmup_steps) - warmup_steps),
        }
    }

    fn check(&self) -> Result<()> {
        check_steps(self.decay_steps)
    }
}

/// A [`CosineDecay`] that begins again whenever it has come to its end (Loshchilov and Hutter 2017, "SGDR"):
/// `initial_learning_rate ((1 - alpha) m_mul^i (1 + cos(pi f)) / 2 + alpha)` in the `i`-th of its periods, the first being
/// 0, of which the share `f` is over. Each period takes `t_mul` times as many steps as the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecayRestarts {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// How many steps the first period takes.
    pub first_decay_steps: u64,
    /// How many times as long as the one before each period is: 1 or more.
    pub t_mul: f64,
    /// How many times as large as in the one before the rate is at the beginning of each period.
    pub m_mul: f64,
    /// The last rate of a period, as a share of the initial one.
    pub alpha: f64,
}

impl CosineDecayRestarts {
    /// A rate that falls to 0 again and again, each time in twice as many steps.
    pub fn new(initial_learning_rate: f64, first_decay_steps: u64) -> CosineDecayRestarts {
        CosineDecayRestarts { initial_learning_rate, first_decay_steps, t_mul: 2.0, m_mul: 1.0, alpha: 0.0 }
    }
}

impl Schedule for CosineDecayRestarts {
    fn learning_rate(&self, step: u64) -> f32 {
        let [initial, t_mul, m_mul, alpha] =
            [self.initial_learning_rate, self.t_mul, self.m_mul, self.alpha].map(|value| value as f32);
        let periods = step as f32 / self.first_decay_steps as f32;
        let (restarts, share) = if t_mul == 1.0 {
            (periods.floor(), periods - periods.floor())
        } else {
            // The lengths of the periods are a geometric series.
            let restarts = ((1.0 - periods * (1.0 - t_mul)).ln() / t_mul.ln()).floor();
            let before = (1.0 - t_mul.powf(restarts)) / (1.0 - t_mul);
            (restarts, (periods - before) / t_mul.powf(restarts))
        };
        let cosine = 0.5 * m_mul.powf(restarts) * (1.0 + (std::f32::consts::PI * share).cos());
        initial * ((1.0 - alpha) * cosine + alpha)
    }

    fn check(&self) -> Result<()> {
        let argument =
            |name, expected: &str, found: String| Err(Error::Argument { name, expected: expected.to_owned(), found });
        match self.first_decay_steps {
            0 => argument("first_decay_steps", "at least 1", "0".to_owned()),
            _ if !(self.t_mul.is_finite() && self.t_mul >= 1.0) => {
                argument("t_mul", "a number, 1 or more", self.t_mul.to_string())
            }
            _ => Ok(()),
        }
    }
}
