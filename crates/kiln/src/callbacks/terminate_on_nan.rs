//! Stops a training that diverges.

use std::ops::ControlFlow;

use super::Callback;
use crate::Error;

/// Stops training when the loss of a batch is not finite, as Keras' `TerminateOnNaN`, or a weight at the end of an
/// epoch: `fit` calls `on_train_end` and returns the history. Without it, `fit` returns [`Error::NonFinite`].
///
/// The epoch counts as incomplete. The weights are those of the last step, most likely not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminateOnNaN;

impl Callback for TerminateOnNaN {
    fn on_non_finite(&mut self, _: &Error) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}
