//! What a model tells of samples.

use kiln_graph::Shape;

use crate::figures::Figures;

/// How well a model does on a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The loss, averaged over the samples.
    pub loss: f64,
    /// The metrics, averaged over the samples.
    pub metrics: Figures,
}

impl Score {
    /// All figures: `loss`, then the metrics.
    pub fn figures(&self) -> Vec<(&str, f64)> {
        std::iter::once(("loss", self.loss)).chain(self.metrics.iter()).collect()
    }

    /// The figure of this name, if there is one: `loss`, or a metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" { Some(self.loss) } else { self.metrics.get(name) }
    }

    /// The metric `accuracy`: see [`Accuracy`](crate::metrics::Accuracy). Not a number if it was not asked for.
    pub fn accuracy(&self) -> f64 {
        self.metrics.get("accuracy").unwrap_or(f64::NAN)
    }
}

/// What a model gives for some samples: probabilities, if it ends in softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// `[samples, …]`
    pub shape: Shape,
    /// One sample after the other.
    pub values: Vec<f32>,
}

impl Predictions {
    /// The values of each sample.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.shape.sample().elements().max(1))
    }

    /// For each sample, the place of its largest value (the first of equal ones): its most probable class.
    pub fn classes(&self) -> Vec<usize> {
        let first_largest = |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
        self.rows().map(|row| first_largest(row).unwrap_or_default()).collect()
    }
}
