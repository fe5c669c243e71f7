//! The sums of losses and metrics.

use std::sync::Arc;

use super::Session;
use super::flight::Landed;
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
    /// The number of samples.
    pub samples: usize,
    /// The sum of the samples' losses, then of each metric.
    sums: Vec<f64>,
}

impl Session {
    /// The batches of a submission that measured them.
    pub fn batches(&self, landed: &Landed) -> Vec<Batch> {
        let columns = 1 + self.metrics.len();
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&landed.bytes);
        let sum = |rows: &[f32], column: usize| rows.iter().skip(column).step_by(columns).copied().map(f64::from).sum();
        let batch = |rows: &[f32]| Batch {
            samples: landed.batch,
            sums: (0..columns).map(|column| sum(rows, column)).collect(),
        };
        values.chunks_exact(columns * landed.shards).map(batch).collect()
    }
}
