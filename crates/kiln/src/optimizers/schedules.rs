//! Learning-rate schedules with Keras' names and formulas, computed in f32 as in Keras. `step` is the number of
//! previous steps.

use super::Schedule;
use crate::{Error, Result};

/// # Errors
/// If the number of steps is 0.
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
    /// The number of steps in which the rate decays by `decay_rate`.
    pub decay_steps: u64,
    /// The factor of the rate after `decay_steps` steps.
    pub decay_rate: f64,
    /// Whether the exponent is rounded down, so that the rate decays every `decay_steps` steps.
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

/// `initial_learning_rate / (1 + decay_rate step / decay_steps)`. With `decay_steps` 1 this is the `decay` of Keras 2's
/// optimizers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverseTimeDecay {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// The number of steps per unit of `decay_rate`.
    pub decay_steps: u64,
    /// The decay rate.
    pub decay_rate: f64,
    /// Whether `step / decay_steps` is rounded down, so that the rate decays every `decay_steps` steps.
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
    /// The last step of each rate but the last, ascending.
    pub boundaries: Vec<u64>,
    /// The rates, one more than boundaries.
    pub values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// A piecewise constant rate.
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

/// `(initial_learning_rate - end_learning_rate) (1 - step / decay_steps)^power + end_learning_rate`, constant after
/// `decay_steps` steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolynomialDecay {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// The number of steps to the final rate.
    pub decay_steps: u64,
    /// The final rate.
    pub end_learning_rate: f64,
    /// The power of the polynomial: 1 for linear decay.
    pub power: f64,
    /// Whether to restart the decay beyond `decay_steps`, which is then replaced by its smallest multiple that is not
    /// below `step`.
    pub cycle: bool,
}

impl PolynomialDecay {
    /// A rate that decays linearly to 0.0001.
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

/// `initial_learning_rate ((1 - alpha) (1 + cos(pi step / decay_steps)) / 2 + alpha)`, constant after `decay_steps`
/// steps (Loshchilov and Hutter 2017). With a `warmup_target`, the rate first rises linearly from
/// `initial_learning_rate` to it in `warmup_steps` steps, and then decays from there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecay {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// The number of steps of the decay.
    pub decay_steps: u64,
    /// The final rate as a share of the rate at the start of the decay.
    pub alpha: f64,
    /// The rate at the end of the warm-up, if there is one.
    pub warmup_target: Option<f64>,
    /// The number of steps of the warm-up.
    pub warmup_steps: u64,
}

impl CosineDecay {
    /// A rate that decays to 0, without a warm-up.
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

/// A [`CosineDecay`] with warm restarts (Loshchilov and Hutter 2017, "SGDR"): `initial_learning_rate ((1 - alpha)
/// m_mul^i (1 + cos(pi f)) / 2 + alpha)` at the share `f` of period `i`, counted from 0. Each period has `t_mul` times
/// as many steps as the previous one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecayRestarts {
    /// The initial learning rate.
    pub initial_learning_rate: f64,
    /// The number of steps of the first period.
    pub first_decay_steps: u64,
    /// The ratio of the lengths of successive periods: 1 or more.
    pub t_mul: f64,
    /// The ratio of the initial rates of successive periods.
    pub m_mul: f64,
    /// The final rate of a period as a share of the initial one.
    pub alpha: f64,
}

impl CosineDecayRestarts {
    /// A rate that decays to 0 in each period, with periods of doubling length.
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
