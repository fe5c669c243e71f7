//! A training that diverges ends in good order.

use std::ops::ControlFlow;

use super::{BatchLogs, Callback};

/// Stops training when the loss of a batch is not finite, as Keras' `TerminateOnNaN` does: `fit` gives the history, in
/// which training was stopped, and callbacks are told of the training's end. Without it `fit` ends with
/// [`Error::NonFinite`](crate::Error::NonFinite).
///
/// The epoch counts as stopped before its end. The weights are those of the last step, and most likely not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminateOnNaN;

impl Callback for TerminateOnNaN {
    fn on_batch_end(&mut self, logs: &BatchLogs) -> ControlFlow<()> {
        if logs.batch_loss.is_finite() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
