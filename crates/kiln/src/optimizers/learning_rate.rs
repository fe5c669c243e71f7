//! How far a step goes.

use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::{Error, Result};

/// A learning rate that depends on the number of steps that were taken. Those of Keras are in
/// [`schedules`](super::schedules).
pub trait Schedule: Debug + Send + Sync {
    /// The learning rate of the step after `step` others.
    fn learning_rate(&self, step: u64) -> f32;

    /// # Errors
    /// [`Error::Argument`] when an argument of the schedule makes no sense.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// How far a step goes: `0.001.into()`, or a schedule: `ExponentialDecay::new(0.1, 1000, 0.96).into()`.
#[derive(Clone)]
pub enum LearningRate {
    /// The same for each step, until [`Model::set_learning_rate`](crate::Model::set_learning_rate) changes it.
    Constant(f64),
    /// One that depends on the number of steps that were taken.
    Schedule(Arc<dyn Schedule>),
}

impl LearningRate {
    /// The learning rate of the step after `step` others.
    pub fn at(&self, step: u64) -> f32 {
        match self {
            LearningRate::Constant(rate) => *rate as f32,
            LearningRate::Schedule(schedule) => schedule.learning_rate(step),
        }
    }

    /// # Errors
    /// [`Error::Argument`] when it makes no sense.
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
