//! Submissions in flight.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures::future::FutureExt;
use kiln_graph::Pending;

use crate::Result;

/// The outcome of a submission.
pub(crate) struct Landed {
    /// Samples of a step.
    pub batch: usize,
    /// Rows of metrics of a step.
    pub shards: usize,
    pub bytes: Vec<u8>,
}

/// A submission in flight.
#[derive(Debug)]
pub(super) struct Flight {
    /// The runs not known to be complete; the last one reads back.
    pub pending: VecDeque<Box<dyn Pending>>,
    pub submitted: Instant,
    pub batch: usize,
    pub shards: usize,
    pub steps: usize,
}

impl Flight {
    /// The bytes that were read back, if all runs are done. Does not wait.
    ///
    /// # Errors
    /// If the device is lost or reported a fault in any of them.
    pub fn try_wait(&mut self) -> Result<Option<Vec<u8>>> {
        let mut last = None;
        while let Some(pending) = self.pending.front_mut() {
            let Some(bytes) = pending.try_wait()? else { return Ok(None) };
            self.pending.pop_front();
            last = Some(bytes);
        }
        Ok(last)
    }

    /// The bytes that were read back, once all runs are done.
    ///
    /// # Errors
    /// As [`Flight::try_wait`].
    pub fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<Vec<u8>>> {
        let mut last = Vec::new();
        while let Some(pending) = self.pending.front_mut() {
            last = ready!(pending.poll_unpin(task))?;
            self.pending.pop_front();
        }
        Poll::Ready(Ok(last))
    }
}
