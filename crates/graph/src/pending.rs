//! Submissions in flight.

use std::fmt::Debug;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{DeviceError, block_on};

/// A submission in flight: a future of the bytes that it reads back, none if it reads nothing back.
///
/// Once it is done, [`Pending::try_wait`] and the future return the bytes once. Dropping it does not cancel the submission.
///
/// # Errors
/// If the device is lost or reported a fault.
pub trait Pending: Future<Output = Result<Vec<u8>, DeviceError>> + Debug + Send + Unpin {
    /// The bytes if the submission is done, `None` until then. Does not wait.
    ///
    /// # Errors
    /// If the device is lost or reported a fault.
    fn try_wait(&mut self) -> Result<Option<Vec<u8>>, DeviceError>;
}

impl dyn Pending {
    /// Waits until the submission is done and returns the bytes.
    ///
    /// # Errors
    /// If the device is lost or reported a fault.
    pub fn wait(self: Box<Self>) -> Result<Vec<u8>, DeviceError> {
        block_on(self)
    }
}

/// A submission that is done when it is returned, with the bytes that it read back.
#[derive(Debug)]
pub struct Done(pub Vec<u8>);

impl Pending for Done {
    fn try_wait(&mut self) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(Some(std::mem::take(&mut self.0)))
    }
}

impl Future for Done {
    type Output = Result<Vec<u8>, DeviceError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(std::mem::take(&mut self.0)))
    }
}
