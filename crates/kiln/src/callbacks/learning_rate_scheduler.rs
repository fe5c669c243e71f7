//! Sets the learning rate of each epoch.

use std::ops::ControlFlow;

use super::Callback;
use crate::{Model, Result};

/// Sets the learning rate before each epoch, as Keras' `LearningRateScheduler`: a function of the number of finished
/// epochs and the current learning rate returns the new one. A resumed training calls it with the checkpoint's learning
/// rate; a checkpoint does not include the function's own state.
///
/// # Example
/// ```
/// use kiln::callbacks::LearningRateScheduler;
///
/// // As it is for ten epochs, then smaller from epoch to epoch.
/// let scheduler = LearningRateScheduler::new(|epoch, lr| if epoch < 10 { lr } else { lr * (-0.1f64).exp() });
/// ```
#[derive(Debug)]
pub struct LearningRateScheduler<F> {
    schedule: F,
}

impl<F: FnMut(usize, f64) -> f64> LearningRateScheduler<F> {
    /// Creates a scheduler with a function that returns the learning rate.
    pub fn new(schedule: F) -> LearningRateScheduler<F> {
        LearningRateScheduler { schedule }
    }
}

impl<F: FnMut(usize, f64) -> f64> Callback for LearningRateScheduler<F> {
    /// # Errors
    /// If the learning rate is not finite.
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize, _: usize) -> Result<ControlFlow<()>> {
        let learning_rate = (self.schedule)(epoch.saturating_sub(1), model.learning_rate()?);
        tracing::info!("epoch {epoch}: the learning rate is set to {learning_rate}");
        model.set_learning_rate(learning_rate)?;
        Ok(ControlFlow::Continue(()))
    }
}
