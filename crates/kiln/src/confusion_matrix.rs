//! The confusion matrix of a model's predictions.

use std::fmt;

use crate::{Error, Result};

/// The number of samples by true class and predicted class.
///
/// # Example
/// ```
/// use kiln::ConfusionMatrix;
///
/// let (labels, predicted) = ([0, 0, 0, 1], [0, 0, 1, 1]);
/// let matrix = ConfusionMatrix::new(&labels, &predicted, 2)?;
/// assert_eq!(matrix.count(0, 1), 1);
/// assert_eq!((matrix.accuracy(), matrix.precision(1), matrix.recall(1)), (0.75, 0.5, 1.0));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// `[classes, classes]`: a row for each label, a column for each prediction.
    counts: Vec<usize>,
    names: Vec<String>,
}

impl ConfusionMatrix {
    /// Counts samples by label and prediction, from [`Labels::class_indices`](crate::data::Labels::class_indices) and
    /// [`Predictions::classes`](crate::Predictions::classes).
    ///
    /// # Errors
    /// [`Error::Argument`] if the numbers of predictions and labels differ, or one is not below `classes`.
    pub fn new(labels: &[usize], predicted: &[usize], classes: usize) -> Result<ConfusionMatrix> {
        let argument = |name, expected: String, found: String| Err(Error::Argument { name, expected, found });
        if labels.len() != predicted.len() {
            let expected = format!("{}, one for each label", labels.len());
            return argument("predicted", expected, predicted.len().to_string());
        }
        for (name, values) in [("labels", labels), ("predicted", predicted)] {
            if let Some(found) = values.iter().find(|&&class| class >= classes) {
                return argument(name, format!("classes below {classes}"), found.to_string());
            }
        }
        let mut counts = vec![0; classes * classes];
        for (&label, &prediction) in labels.iter().zip(predicted) {
            counts[label * classes + prediction] += 1;
        }
        Ok(ConfusionMatrix { classes, counts, names: Vec::new() })
    }

    /// Sets the names of the classes. Classes without names are printed as numbers.
    pub fn with_class_names(self, names: &[String]) -> ConfusionMatrix {
        ConfusionMatrix { names: names.to_vec(), ..self }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of samples of class `label` predicted as class `predicted`; 0 if there is no such class.
    pub fn count(&self, label: usize, predicted: usize) -> usize {
        let inside = label < self.classes && predicted < self.classes;
        if inside { self.counts[label * self.classes + predicted] } else { 0 }
    }

    /// The number of samples of the class.
    pub fn support(&self, class: usize) -> usize {
        (0..self.classes).map(|predicted| self.count(class, predicted)).sum()
    }

    /// The number of samples predicted as the class.
    fn predicted(&self, class: usize) -> usize {
        (0..self.classes).map(|label| self.count(label, class)).sum()
    }

    /// The share of all samples predicted correctly.
    pub fn accuracy(&self) -> f64 {
        let right: usize = (0..self.classes).map(|class| self.count(class, class)).sum();
        share(right, self.counts.iter().sum())
    }

    /// The share of the samples predicted as the class that are of it; 0 if there are none.
    pub fn precision(&self, class: usize) -> f64 {
        share(self.count(class, class), self.predicted(class))
    }

    /// The share of the samples of the class predicted as it; 0 if there are none.
    pub fn recall(&self, class: usize) -> f64 {
        share(self.count(class, class), self.support(class))
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(&self, class: usize) -> f64 {
        share(2 * self.count(class, class), self.support(class) + self.predicted(class))
    }

    fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl fmt::Display for ConfusionMatrix {
    /// A row per class: the counts by predicted class, then the figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = (0..self.classes).map(|class| self.name(class)).collect();
        let numbered: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(i, name)| if self.names.is_empty() { name.clone() } else { format!("{i} {name}") })
            .collect();
        let first = numbered.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("label".len());
        let most = self.counts.iter().max().map_or(0, |count| count.to_string().len());
        let width = most.max(self.classes.saturating_sub(1).to_string().len()).max(2);
        write!(f, "{:first$} ", "label")?;
        for class in 0..self.classes {
            write!(f, " {class:>width$}")?;
        }
        writeln!(f, "  {:>9} {:>9} {:>9} {:>9}", "precision", "recall", "f1", "samples")?;
        for (class, name) in numbered.iter().enumerate() {
            write!(f, "{name:first$} ")?;
            for predicted in 0..self.classes {
                write!(f, " {:>width$}", self.count(class, predicted))?;
            }
            let [precision, recall, f1] = [self.precision(class), self.recall(class), self.f1(class)];
            writeln!(f, "  {precision:>9.4} {recall:>9.4} {f1:>9.4} {:>9}", self.support(class))?;
        }
        write!(f, "accuracy {:.4}", self.accuracy())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    /// Three classes, the last of which is never predicted.
    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::new(&[0, 0, 1, 1, 1, 2], &[0, 1, 1, 1, 0, 0], 3).unwrap()
    }

    #[test]
    fn rows_are_labels_and_columns_predictions() {
        let found: Vec<usize> = (0..9).map(|i| matrix().count(i / 3, i % 3)).collect();
        assert_eq!(found, [1, 1, 0, 1, 2, 0, 1, 0, 0]);
        assert_eq!((matrix().support(1), matrix().count(3, 0)), (3, 0));
    }

    #[test]
    fn precision_recall_and_f1_are_those_of_their_definitions() {
        let matrix = matrix();
        assert_eq!((matrix.precision(0), matrix.recall(0), matrix.f1(0)), (1.0 / 3.0, 0.5, 0.4));
        assert_eq!((matrix.precision(1), matrix.recall(1)), (2.0 / 3.0, 2.0 / 3.0));
        assert_eq!((matrix.precision(2), matrix.recall(2), matrix.f1(2)), (0.0, 0.0, 0.0));
        assert_eq!(matrix.accuracy(), 0.5);
    }

    #[test]
    fn a_table_has_a_row_for_each_class_and_its_name() {
        let names = ["cat", "dog", "a horse"].map(str::to_owned);
        let expected = "label       0  1  2  precision    recall        f1   samples\n\
                        0 cat       1  1  0     0.3333    0.5000    0.4000         2\n\
                        1 dog       1  2  0     0.6667    0.6667    0.6667         3\n\
                        2 a horse   1  0  0     0.0000    0.0000    0.0000         1\n\
                        accuracy 0.5000";
        assert_eq!(matrix().with_class_names(&names).to_string(), expected);
        assert!(matrix().to_string().starts_with("label   0  1  2  precision"), "{}", matrix());
    }

    #[test]
    fn classes_that_are_not_there_are_an_error() {
        let error = ConfusionMatrix::new(&[0, 3], &[0, 0], 3).unwrap_err().to_string();
        assert_eq!(error, "labels: expected classes below 3, found 3");
        let error = ConfusionMatrix::new(&[0], &[0, 0], 3).unwrap_err().to_string();
        assert_eq!(error, "predicted: expected 1, one for each label, found 2");
    }
}
