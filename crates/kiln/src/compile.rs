//! How a model is trained.

use crate::losses::Loss;
use crate::optimizers::{Adam, Optimizer};
use crate::{Error, Result};

/// The most steps that one submission runs.
pub(crate) const MOST_STEPS: usize = 32;

/// The arguments of [`compile`](crate::Sequential::compile).
#[derive(Debug)]
pub struct Compile {
    /// How a step changes the weights: `Adam::default().into()`.
    pub optimizer: Box<dyn Optimizer>,
    /// What training makes small.
    pub loss: Loss,
    /// Whether the model gives logits rather than probabilities. A model that ends in softmax gives probabilities.
    pub from_logits: bool,
    /// How many training steps the device is given at once, at most 32. By default as many as take about 50 ms. More
    /// cost less overhead and let callbacks wait longer; results do not depend on it.
    pub steps_per_execution: Option<usize>,
}

impl Default for Compile {
    fn default() -> Compile {
        let optimizer = Adam::default().into();
        Compile { optimizer, loss: Loss::default(), from_logits: false, steps_per_execution: None }
    }
}

impl Compile {
    /// # Errors
    /// [`Error::Argument`] when an argument makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        let argument = |name, expected: String, found: String| Err(Error::Argument { name, expected, found });
        if let Some(steps) = self.steps_per_execution.filter(|steps| !(1..=MOST_STEPS).contains(steps)) {
            return argument("steps_per_execution", format!("1 to {MOST_STEPS}"), steps.to_string());
        }
        let learning_rate = self.optimizer.learning_rate();
        learning_rate.check()?;
        let rates = self.optimizer.rates(0, learning_rate.at(0));
        if rates.iter().any(|rate| !rate.is_finite()) {
            let expected = "arguments that give a finite step".to_owned();
            return argument("optimizer", expected, format!("{:?}, whose first step has {rates:?}", self.optimizer));
        }
        Ok(())
    }
}
