//! The state of dynamic loss scaling.

use serde::{Deserialize, Serialize};

/// The state of dynamic loss scaling in mixed precision ([`Precision::Mixed`](crate::Precision::Mixed)), as of Keras'
/// `LossScaleOptimizer` with its defaults.
///
/// The gradient of a layer's output is a factor of products, and values up to 2^-25 round to 0 there, so the backward pass
/// starts from the loss times `scale`, and the gradients of variables are divided by it. If one of them is not finite, the
/// whole step is skipped: weights and the optimizer's state stay as they are, and the scale halves. After 2,000 finite steps in
/// a row it doubles. The scale is a power of two from 2^-126 to 2^126, so scaling alone rounds nothing.
///
/// A skipped step counts as a step for learning rate schedules, Adam's and Nadam's bias correction and the weights' moving
/// average, which may overwrite the weights in it (`ema_overwrite_frequency`). The state is on the device, so no step waits for it, and it is part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// The factor of the loss in the next step: initially 2^15.
    pub scale: f32,
    /// The number of steps with finite gradients since the scale last changed.
    pub finite_steps: u32,
    /// The number of skipped steps of this training.
    pub skipped_steps: u32,
}

impl Default for LossScale {
    fn default() -> LossScale {
        LossScale { scale: 32_768.0, finite_steps: 0, skipped_steps: 0 }
    }
}
