//! Results of evaluations and predictions.

use std::fmt;

use kiln_graph::Shape;

use crate::figures::{Figures, write_figures};

/// The result of an evaluation: the loss and metrics on a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The loss, averaged over the samples.
    pub loss: f64,
    /// The metrics, averaged over the samples.
    pub metrics: Figures,
}

impl Score {
    /// All values by name: `loss`, then the metrics.
    pub fn figures(&self) -> Vec<(&str, f64)> {
        std::iter::once(("loss", self.loss)).chain(self.metrics.iter()).collect()
    }

    /// The value of this name, if there is one: `loss`, or a metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" { Some(self.loss) } else { self.metrics.get(name) }
    }

    /// The metric `accuracy`, if it was measured: see [`Accuracy`](crate::metrics::Accuracy).
    pub fn accuracy(&self) -> Option<f64> {
        self.metrics.get("accuracy")
    }
}

/// `loss: 0.2500 - accuracy: 0.9000`, as Keras prints metrics.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_figures(f, &self.figures())
    }
}

/// The outputs of a model for some samples: probabilities, if it ends in softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// `[samples, …]`
    pub shape: Shape,
    /// The values of all samples, concatenated.
    pub values: Vec<f32>,
}

impl Predictions {
    /// Iterates over the values of each sample.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.shape.sample().elements().max(1))
    }

    /// The index of the largest value of each sample (the first of equal ones): its most probable class. A NaN counts
    /// as the largest, as in NumPy's `argmax`, although it does not indicate a class: see [`Predictions::first_non_finite`].
    pub fn classes(&self) -> Vec<usize> {
        self.rows().map(first_largest).collect()
    }

    /// The index of the first sample with a NaN or infinite value, if there is one: a sign of non-finite weights or inputs.
    pub fn first_non_finite(&self) -> Option<usize> {
        self.rows().position(|row| !row.iter().all(|value| value.is_finite()))
    }
}

/// The index of the first NaN, or of the first of the largest values.
fn first_largest(row: &[f32]) -> usize {
    let larger = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
    row.iter().position(|value| value.is_nan()).unwrap_or_else(|| (0..row.len()).reduce(larger).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(values: Vec<f32>) -> Predictions {
        Predictions { shape: Shape::from([values.len() / 3, 3]), values }
    }

    #[test]
    fn the_class_of_a_sample_is_the_first_of_its_largest_values() {
        let found = predictions(vec![0.1, 0.7, 0.2, 0.4, 0.2, 0.4, -1.0, -2.0, -0.5]);
        assert_eq!((found.classes(), found.first_non_finite()), (vec![1, 0, 2], None));
    }

    #[test]
    fn a_value_that_is_not_finite_is_found_and_a_nan_of_either_sign_counts_as_the_largest() {
        for nan in [f32::NAN, -f32::NAN] {
            let found = predictions(vec![0.1, 0.7, 0.2, 0.9, nan, nan]);
            assert_eq!((found.classes(), found.first_non_finite()), (vec![1, 1], Some(1)));
        }
        assert_eq!(predictions(vec![0.1, 0.2, f32::NEG_INFINITY]).first_non_finite(), Some(0));
        assert_eq!(predictions(Vec::new()).first_non_finite(), None);
    }
}
