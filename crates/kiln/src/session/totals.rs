//! Losses and metrics of batches, summed.

use std::sync::Arc;

use crate::figures::Figures;

/// The sums of the losses and metrics of some batches.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub samples: usize,
    /// The sum of the losses, then of each metric.
    sums: Vec<f64>,
    metrics: Arc<[Arc<str>]>,
}

impl Totals {
    /// Of no batch yet.
    pub fn new(metrics: Arc<[Arc<str>]>) -> Totals {
        Totals { samples: 0, sums: vec![0.0; 1 + metrics.len()], metrics }
    }

    pub fn add(&mut self, batch: &Batch) {
        self.samples += batch.samples;
        for (sum, value) in self.sums.iter_mut().zip(&batch.sums) {
            *sum += value;
        }
    }

    /// The loss, averaged over the samples.
    pub fn loss(&self) -> f64 {
        self.sums[0] / self.samples.max(1) as f64
    }

    /// The metrics, averaged over the samples.
    pub fn metrics(&self) -> Figures {
        let values = self.sums[1..].iter().map(|sum| sum / self.samples.max(1) as f64);
        self.metrics.iter().cloned().zip(values).collect()
    }

    /// Of no batch yet, with the same metrics.
    pub fn cleared(&self) -> Totals {
        Totals::new(self.metrics.clone())
    }
}

/// The sums of the losses and metrics of one batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// How many samples it had.
    pub samples: usize,
    /// The sum of the samples' losses, then of each metric.
    pub(super) sums: Vec<f64>,
}
