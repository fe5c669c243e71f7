//! A submission on its way.

use std::collections::VecDeque;
use std::time::Instant;

use kiln_graph::Pending;

use crate::Result;

/// A submission on its way.
#[derive(Debug)]
pub(super) struct Flight {
    /// The runs that are not known to be done; the last one reads back.
    pub pending: VecDeque<Box<dyn Pending>>,
    pub submitted: Instant,
    /// Samples of a step.
    pub batch: usize,
    /// Rows of metrics of a step.
    pub shards: usize,
    pub steps: usize,
}

impl Flight {
    /// What was read back, if all runs are done. Does not wait.
    ///
    /// # Errors
    /// When the device is lost or reported a fault in any of them.
    pub fn poll(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(pending) = self.pending.front_mut() {
            let Some(bytes) = pending.poll()? else { return Ok(None) };
            self.pending.pop_front();
            if self.pending.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// What was read back. Waits for all runs.
    ///
    /// # Errors
    /// As [`Flight::poll`].
    pub fn wait(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(pending) = self.pending.pop_front() {
            bytes = pending.wait()?;
        }
        Ok(bytes)
    }
}
