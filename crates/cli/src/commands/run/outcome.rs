//! The meaning of a model's outputs, derived from its loss.

use std::sync::Arc;

use kiln::Model;
use kiln::data::{Dataset, Labels};
use kiln::losses::{BinaryCrossentropy, CategoricalCrossentropy, Loss, Outputs, SparseCategoricalCrossentropy};
use kiln::metrics::{Accuracy, BinaryAccuracy, Metric};

use super::Run;
use crate::error::Error;

/// The meaning of a model's outputs for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A probability for each of several exclusive classes.
    Classes,
    /// The probability of the second of two classes.
    Binary,
    /// A probability for each of several independent labels.
    Labels,
    /// The values of a regression.
    Quantities,
}

impl Outcome {
    /// The outcome of a model with `outputs` outputs trained with a loss.
    pub fn of(loss: &dyn Loss, outputs: usize) -> Outcome {
        match loss.outputs() {
            Outputs::Probabilities if outputs == 1 => Outcome::Binary,
            Outputs::Probabilities => Outcome::Labels,
            Outputs::Quantities => Outcome::Quantities,
            Outputs::Classes => Outcome::Classes,
        }
    }

    /// Converts the logits of a sample to probabilities.
    pub fn probabilities(self, logits: &[f32]) -> Vec<f32> {
        match self {
            Outcome::Quantities => logits.to_vec(),
            Outcome::Binary | Outcome::Labels => logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect(),
            Outcome::Classes => {
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let powers: Vec<f32> = logits.iter().map(|x| (x - most).exp()).collect();
                let sum: f32 = powers.iter().sum();
                powers.into_iter().map(|power| power / sum).collect()
            }
        }
    }
}

impl Run {
    /// The outcome of its model.
    pub fn outcome(&self, outputs: usize) -> Outcome {
        Outcome::of(&*self.loss, outputs)
    }
}

/// The default loss for a model and its labels.
///
/// # Errors
/// If the labels are real values, which have no default loss.
pub fn usual_loss(model: &Model, data: &Dataset) -> Result<Arc<dyn Loss>, Error> {
    let outputs = model.output_shape()?.elements();
    let Some(labels) = data.labels() else { return Err(Error::NoLoss) };
    match labels {
        Labels::Index { classes, .. } if outputs == 1 && *classes <= 2 => Ok(BinaryCrossentropy::default().into()),
        Labels::Index { .. } => Ok(SparseCategoricalCrossentropy::default().into()),
        Labels::Values { values, size } if *size > 1 && are_shares(values, *size) => {
            Ok(CategoricalCrossentropy::default().into())
        }
        Labels::Values { values, .. } if values.iter().all(|value| [0.0, 1.0].contains(value)) => {
            Ok(BinaryCrossentropy::default().into())
        }
        Labels::Values { .. } => Err(Error::NoLoss),
    }
}

/// The default metrics for a loss.
pub fn usual_metrics(loss: &dyn Loss, data: &Dataset) -> Vec<Arc<dyn Metric>> {
    match (loss.outputs(), data.labels()) {
        (Outputs::Quantities, _) => Vec::new(),
        (Outputs::Probabilities, Some(Labels::Values { values, size })) if *size > 1 && !are_shares(values, *size) => {
            vec![BinaryAccuracy.into()]
        }
        _ => vec![Accuracy.into()],
    }
}

/// Whether the labels of each sample sum to 1, as one-hot labels do.
fn are_shares(values: &[f32], size: usize) -> bool {
    let whole = |row: &[f32]| row.iter().all(|&share| share >= 0.0) && (row.iter().sum::<f32>() - 1.0).abs() < 1e-3;
    values.chunks(size.max(1)).all(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use kiln::Sequential;
    use kiln::layers::Dense;

    use super::*;

    fn data(labels: Labels, samples: usize) -> Dataset {
        Dataset::from_f32([1], vec![0.0; samples], labels).unwrap()
    }

    fn model(outputs: usize) -> Model {
        let mut model = Sequential::new([1]);
        model.add(Dense::new(outputs));
        model
    }

    #[test]
    fn the_usual_loss_and_metric_follow_from_outputs_and_labels() {
        let usual = |outputs, labels: Labels| {
            let data = data(labels, 2);
            usual_loss(&model(outputs), &data).map(|loss| (loss.clone(), usual_metrics(&*loss, &data)))
        };
        let of_classes: Vec<Arc<dyn Metric>> = vec![Accuracy.into()];
        let expected: [(_, _, Arc<dyn Loss>, _); 5] = [
            (3, Labels::index(vec![0, 2], 3), SparseCategoricalCrossentropy::default().into(), &of_classes),
            (1, Labels::index(vec![0, 1], 2), BinaryCrossentropy::default().into(), &of_classes),
            (1, Labels::values(vec![0.0, 1.0], 1), BinaryCrossentropy::default().into(), &of_classes),
            (2, Labels::values(vec![0.0, 1.0, 0.5, 0.5], 2), CategoricalCrossentropy::default().into(), &of_classes),
            (
                2,
                Labels::values(vec![0.0, 1.0, 1.0, 1.0], 2),
                BinaryCrossentropy::default().into(),
                &vec![BinaryAccuracy.into()],
            ),
        ];
        for (outputs, labels, loss, metrics) in expected {
            assert_eq!(
                format!("{:?}", usual(outputs, labels.clone()).unwrap()),
                format!("{:?}", (loss, metrics)),
                "{labels:?}"
            );
        }
        assert!(usual(1, Labels::values(vec![0.5, 7.0], 1)).unwrap_err().to_string().contains("--loss"));
        let quantities = data(Labels::values(vec![0.5, 7.0], 1), 2);
        assert!(usual_metrics(&kiln::losses::MeanSquaredError, &quantities).is_empty());
    }

    #[test]
    fn logits_become_probabilities() {
        let near = |found: Vec<f32>, expected: &[f32]| {
            assert_eq!(found.len(), expected.len());
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
        };
        near(Outcome::Classes.probabilities(&[1000.0, 1000.0, -1000.0]), &[0.5, 0.5, 0.0]);
        near(Outcome::Binary.probabilities(&[0.0]), &[0.5]);
        near(Outcome::Labels.probabilities(&[2.0_f32.ln(), -100.0]), &[2.0 / 3.0, 0.0]);
        near(Outcome::Quantities.probabilities(&[3.0]), &[3.0]);
    }
}
