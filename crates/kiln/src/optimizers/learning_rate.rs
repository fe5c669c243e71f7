//! Learning rates.

use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::{Error, Result};

/// A learning rate that depends on the number of previous steps. Keras' schedules are in
/// [`schedules`](super::schedules).
pub trait Schedule: Debug + Send + Sync {
    /// The learning rate of step `step`, counted from 0.
    fn learning_rate(&self, step: u64) -> f32;

    /// # Errors
    /// [`Error::Argument`] if an argument of the schedule is invalid.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A constant learning rate, `0.001.into()`, or a schedule: `ExponentialDecay::new(0.1, 1000, 0.96).into()`.
#[derive(Clone)]
pub enum LearningRate {
    /// A constant, until [`Model::set_learning_rate`](crate::Model::set_learning_rate) changes it.
    Constant(f64),
    /// A schedule, which depends on the number of previous steps.
    Schedule(Arc<dyn Schedule>),
}

impl LearningRate {
    /// The learning rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f32 {
        match self {
            LearningRate::Constant(rate) => *rate as f32,
            LearningRate::Schedule(schedule) => schedule.learning_rate(step),
        }
    }

    /// # Errors
    /// [`Error::Argument`] if it is invalid.
    pub(crate) fn check(&self) -> Result<()> {
        if let LearningRate::Schedule(schedule) = self {
            schedule.check()?;
        }
        match self.at(0) {
            rate if rate.is_finite() && rate >= 0.0 => Ok(()),
            rate => Err(Error::Argument {
                name: "learning_rate",
                expected: "a number, 0 or more".to_owned(),
                found: rate.to_string(),
            }),
        }
    }
}

impl Debug for LearningRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LearningRate::Constant(rate) => rate.fmt(f),
            LearningRate::Schedule(schedule) => schedule.fmt(f),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> LearningRate {
        LearningRate::Constant(rate)
    }
}

impl<S: Schedule + 'static> From<S> for LearningRate {
    fn from(schedule: S) -> LearningRate {
        LearningRate::Schedule(Arc::new(schedule))
    }
}
