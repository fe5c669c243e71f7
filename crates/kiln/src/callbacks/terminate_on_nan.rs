//! A training that diverges ends in good order.

use std::ops::ControlFlow;

use super::Callback;
use crate::Error;

/// Stops training when the loss of a batch is not finite, as Keras' `TerminateOnNaN` does, or a weight at the end of an
/// epoch: `fit` returns the history, in which training was stopped, and calls `on_train_end`. Without it `fit` ends with
/// [`Error::NonFinite`].
///
/// The epoch counts as stopped before its end. The weights are those of the last step, and most likely not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminateOnNaN;

impl Callback for TerminateOnNaN {
    fn on_non_finite(&mut self, _: &Error) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}
