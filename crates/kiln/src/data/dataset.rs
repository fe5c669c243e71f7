//! Samples with labels, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use kiln_graph::Shape;

use super::DataError;
use crate::Error;
use crate::augmentation::Standardization;

/// Samples of one shape and a label for each. A model sees `value * scale + offset`, standardized if
/// [`Augmentation::standardize`](crate::augmentation::Augmentation::standardize) says so.
///
/// Cheap to clone: the values are shared.
///
/// # Example
/// ```
/// use kiln::data::{Dataset, Labels};
///
/// let images = vec![0, 51, 102, 255, 255, 0, 0, 0];
/// let data = Dataset::from_u8([2, 2, 1], images, Labels::index(vec![0, 1], 2))?;
/// assert_eq!((data.len(), data.scale()), (2, 1.0 / 255.0));
/// # Ok::<(), kiln::data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    sample_shape: Shape,
    samples: usize,
    values: Values,
    labels: Labels,
    class_names: Arc<[String]>,
    sample_weights: Option<Arc<[f32]>>,
    scale: f32,
    offset: f32,
    standardization: Standardization,
}

/// The values of all samples, one sample after the other, images as `[H, W, C]`.
#[derive(Clone, PartialEq)]
pub enum Values {
    /// Bytes, as image files hold them.
    U8(Arc<[u8]>),
    /// Floats.
    F32(Arc<[f32]>),
}

/// The labels of all samples.
#[derive(Clone, PartialEq)]
pub enum Labels {
    /// The index of each sample's class.
    Index {
        /// One index per sample, below `classes`.
        values: Arc<[u32]>,
        /// The number of classes.
        classes: usize,
    },
    /// For each sample, one value per output of a model: quantities, or one per class, 1 for its own and 0 for the others,
    /// or any probabilities.
    Values {
        /// `[samples, size]`
        values: Arc<[f32]>,
        /// The number of values of a sample.
        size: usize,
    },
}

impl Labels {
    /// Labels as class indices.
    pub fn index(values: Vec<u32>, classes: usize) -> Labels {
        Labels::Index { values: values.into(), classes }
    }

    /// Labels as one value per class, `[samples, classes]`.
    pub fn one_hot(values: Vec<f32>, classes: usize) -> Labels {
        Labels::values(values, classes)
    }

    /// Labels as quantities, `[samples, size]`.
    pub fn values(values: Vec<f32>, size: usize) -> Labels {
        Labels::Values { values: values.into(), size }
    }

    /// The number of classes, or of values of a sample.
    pub fn classes(&self) -> usize {
        match self {
            Labels::Index { classes, .. } => *classes,
            Labels::Values { size, .. } => *size,
        }
    }

    /// Each sample's class: its index, or the place of its largest value (the first of equal ones). Where a sample has one
    /// value, that is the class.
    pub fn class_indices(&self) -> Vec<usize> {
        match self {
            Labels::Index { values, .. } => values.iter().map(|&value| value as usize).collect(),
            Labels::Values { values, size: 1 } => values.iter().map(|&value| value as usize).collect(),
            Labels::Values { values, size } => {
                let first_largest = |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
                values.chunks((*size).max(1)).map(|row| first_largest(row).unwrap_or_default()).collect()
            }
        }
    }

    fn check(&self, samples: usize) -> Result<(), DataError> {
        let (expected, found) = match self {
            Labels::Index { values, .. } => (Some(samples), values.len()),
            Labels::Values { values, size } => (samples.checked_mul(*size), values.len()),
        };
        if expected != Some(found) {
            return Err(DataError::Labels { samples, expected: expected.unwrap_or(usize::MAX), found });
        }
        let Labels::Index { values, classes } = self else { return Ok(()) };
        match values.iter().position(|&label| label as usize >= *classes) {
            Some(sample) => Err(DataError::Class { sample, classes: *classes, found: values[sample] }),
            None => Ok(()),
        }
    }

    fn range(&self, range: Range<usize>) -> Labels {
        match self {
            Labels::Index { values, classes } => Labels::Index { values: values[range].into(), classes: *classes },
            Labels::Values { values, size } => {
                Labels::Values { values: values[range.start * size..range.end * size].into(), size: *size }
            }
        }
    }
}

impl Dataset {
    /// A data set of bytes, which a model sees divided by 255. See [`Dataset::rescaled`] for another rule.
    ///
    /// # Errors
    /// When `values` is not a whole number of samples, or `labels` do not fit them.
    pub fn from_u8(sample_shape: impl Into<Shape>, values: Vec<u8>, labels: Labels) -> Result<Dataset, DataError> {
        let count = values.len();
        Dataset::new(sample_shape.into(), Values::U8(values.into()), count, labels, 1.0 / 255.0)
    }

    /// A data set of floats, which a model sees as they are.
    ///
    /// # Errors
    /// As [`Dataset::from_u8`].
    pub fn from_f32(sample_shape: impl Into<Shape>, values: Vec<f32>, labels: Labels) -> Result<Dataset, DataError> {
        let count = values.len();
        Dataset::new(sample_shape.into(), Values::F32(values.into()), count, labels, 1.0)
    }

    fn new(shape: Shape, values: Values, count: usize, labels: Labels, scale: f32) -> Result<Dataset, DataError> {
        let elements = shape.elements();
        if elements == 0 || !count.is_multiple_of(elements) {
            return Err(DataError::Values { shape, found: count });
        }
        let samples = count / elements;
        labels.check(samples)?;
        Ok(Dataset {
            sample_shape: shape,
            samples,
            values,
            labels,
            class_names: Arc::default(),
            sample_weights: None,
            scale,
            offset: 0.0,
            standardization: Standardization::default(),
        })
    }

    /// The same samples, which a model sees as `value * scale + offset`.
    pub fn rescaled(self, scale: f32, offset: f32) -> Dataset {
        Dataset { scale, offset, ..self }
    }

    /// The same samples, whose classes have these names.
    ///
    /// # Errors
    /// When there are not as many names as classes.
    pub fn with_class_names(self, names: Vec<String>) -> Result<Dataset, DataError> {
        match self.classes() {
            classes if classes == names.len() => Ok(Dataset { class_names: names.into(), ..self }),
            classes => Err(DataError::ClassNames { classes, found: names.len() }),
        }
    }

    /// The same samples, of which each counts as much as its weight says: its loss is multiplied by it. A loss over samples
    /// is still divided by their number, as in Keras 3. Metrics do not see weights.
    ///
    /// # Errors
    /// When there are not as many weights as samples.
    pub fn with_sample_weights(self, weights: Vec<f32>) -> Result<Dataset, DataError> {
        match self.samples {
            samples if samples == weights.len() => Ok(Dataset { sample_weights: Some(weights.into()), ..self }),
            samples => Err(DataError::SampleWeights { samples, found: weights.len() }),
        }
    }

    /// The same samples, weighted by their classes.
    ///
    /// # Errors
    /// When they have weights already.
    pub(crate) fn with_class_weight(self, class_weight: &BTreeMap<usize, f32>) -> crate::Result<Dataset> {
        if self.sample_weights.is_some() {
            let expected = "weights of samples or of classes, not both".to_owned();
            return Err(Error::Argument { name: "class_weight", expected, found: "a data set with both".to_owned() });
        }
        let weight = |class: &usize| class_weight.get(class).copied().unwrap_or(1.0);
        let weights = self.labels.class_indices().iter().map(weight).collect();
        Ok(self.with_sample_weights(weights)?)
    }

    /// The same samples, of which a model sees what standardization makes of `value * scale + offset`.
    pub(crate) fn standardized(self, standardization: Standardization) -> Dataset {
        Dataset { standardization, ..self }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// The shape of one sample.
    pub fn sample_shape(&self) -> &Shape {
        &self.sample_shape
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.labels.classes()
    }

    /// The name of each class, or nothing where they are not known.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// How much each sample counts, if not all count the same.
    pub fn sample_weights(&self) -> Option<&[f32]> {
        self.sample_weights.as_deref()
    }

    /// The values, before scale and offset.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// What each value is multiplied by.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// What is then added.
    pub fn offset(&self) -> f32 {
        self.offset
    }

    /// What becomes of the values after that.
    pub(crate) fn standardization(&self) -> &Standardization {
        &self.standardization
    }

    /// The labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The first `n` samples, or all if there are fewer.
    pub fn head(&self, n: usize) -> Dataset {
        self.range(0..n)
    }

    /// The samples of a range, cut to those that there are.
    pub fn range(&self, range: Range<usize>) -> Dataset {
        let end = range.end.min(self.samples);
        let start = range.start.min(end);
        let elements = self.sample_shape.elements();
        let span = start * elements..end * elements;
        let values = match &self.values {
            Values::U8(values) => Values::U8(values[span].into()),
            Values::F32(values) => Values::F32(values[span].into()),
        };
        let labels = self.labels.range(start..end);
        let sample_weights = self.sample_weights.as_ref().map(|weights| weights[start..end].into());
        Dataset { samples: end - start, values, labels, sample_weights, ..self.clone() }
    }

    /// Everything but the last `fraction` of the samples, and those: the first `int(n * (1 - fraction))` and the rest,
    /// which is how Keras takes `validation_split`. A fraction outside 0 to 1 counts as the nearer of the two.
    pub fn split(&self, fraction: f64) -> (Dataset, Dataset) {
        let first = (self.samples as f64 * (1.0 - fraction.clamp(0.0, 1.0))) as usize;
        (self.range(0..first), self.range(first..self.samples))
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::U8(values) => write!(f, "U8({} values)", values.len()),
            Values::F32(values) => write!(f, "F32({} values)", values.len()),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Labels::Index { values, classes } => write!(f, "Index({} values, {classes} classes)", values.len()),
            Labels::Values { values, size } => write!(f, "Values({} values, {size} for each sample)", values.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    /// Five samples of two values, sample `i` holding `2i` and `2i + 1`, labels 0 1 2 0 1.
    fn five() -> Dataset {
        Dataset::from_u8([2], (0..10).collect(), Labels::index(vec![0, 1, 2, 0, 1], 3)).unwrap()
    }

    #[test]
    fn bytes_are_rescaled_to_one_and_floats_are_not() {
        let floats = Dataset::from_f32([1], vec![3.0], Labels::index(vec![0], 1)).unwrap();
        assert_eq!((five().scale(), five().offset()), (1.0 / 255.0, 0.0));
        assert_eq!((floats.scale(), floats.offset()), (1.0, 0.0));
        let tf = five().rescaled(1.0 / 127.5, -1.0);
        assert_eq!((tf.scale(), tf.offset()), (1.0 / 127.5, -1.0));
    }

    #[test]
    fn split_gives_the_last_fraction_second() {
        let (train, validation) = five().split(0.4);
        assert_eq!(train.values(), &Values::U8((0..6).collect()));
        assert_eq!(validation.values(), &Values::U8((6..10).collect()));
        assert_eq!(validation.labels(), &Labels::index(vec![0, 1], 3));
    }

    #[test]
    fn split_rounds_the_first_part_down() {
        let lengths = |fraction| {
            let (first, last) = five().split(fraction);
            (first.len(), last.len())
        };
        assert_eq!(lengths(0.5), (2, 3));
        assert_eq!(lengths(0.0), (5, 0));
        assert_eq!(lengths(1.0), (0, 5));
        assert_eq!(lengths(-1.0), (5, 0));
    }

    #[test]
    fn a_fifth_of_sixty_thousand_is_twelve_thousand() {
        let data = Dataset::from_u8([1], vec![0; 60_000], Labels::index(vec![0; 60_000], 1)).unwrap();
        assert_eq!(data.split(0.2).0.len(), 48_000);
    }

    #[test]
    fn a_range_is_cut_to_the_samples_that_there_are() {
        assert_eq!(five().range(3..99).values(), &Values::U8((6..10).collect()));
        assert_eq!(five().range(7..9).len(), 0);
        assert_eq!(five().head(1).values(), &Values::U8((0..2).collect()));
        assert_eq!(five().head(9).len(), 5);
    }

    #[test]
    fn classes_may_have_names() {
        assert!(five().class_names().is_empty());
        let names = || ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(five().with_class_names(names()).unwrap().head(1).class_names(), names());
        let error = five().with_class_names(names()[..2].to_vec()).unwrap_err().to_string();
        assert_eq!(error, "expected 3 names of classes, found 2");
    }

    #[test]
    fn weights_are_cut_with_their_samples() {
        let data = five().with_sample_weights(vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(data.range(1..3).sample_weights().unwrap(), [2.0, 3.0]);
        let error = five().with_sample_weights(vec![1.0]).unwrap_err().to_string();
        assert_eq!(error, "expected a weight for each of 5 samples, found 1");
    }

    #[test]
    fn a_class_weighs_its_samples_and_1_where_nothing_is_said() {
        let weighted = five().with_class_weight(&[(1, 0.5), (2, 4.0)].into()).unwrap();
        assert_eq!(weighted.sample_weights().unwrap(), [1.0, 0.5, 4.0, 1.0, 0.5]);
        assert!(weighted.with_class_weight(&[(1, 0.5)].into()).unwrap_err().to_string().contains("not both"));
    }

    #[test]
    fn the_class_of_values_is_the_place_of_the_first_largest() {
        let labels = Labels::one_hot(vec![0.0, 1.0, 0.5, 0.5, 1.0, 0.0], 2);
        assert_eq!(labels.class_indices(), [1, 0, 0]);
        assert_eq!(Labels::values(vec![1.0, 0.0], 1).class_indices(), [1, 0]);
    }

    #[test]
    fn one_hot_labels_are_cut_with_their_samples() {
        let labels = Labels::one_hot(vec![1.0, 0.0, 0.0, 1.0, 0.5, 0.5], 2);
        let data = Dataset::from_f32([1], vec![1.0, 2.0, 3.0], labels).unwrap();
        assert_eq!(data.range(1..3).labels(), &Labels::one_hot(vec![0.0, 1.0, 0.5, 0.5], 2));
    }

    #[test]
    fn values_that_are_no_whole_number_of_samples_are_an_error() {
        let error = Dataset::from_u8([2, 2, 1], vec![0; 9], Labels::index(vec![0; 2], 1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a whole number of samples of shape [2, 2, 1] (4 values each), found 9 values"
        );
        assert!(Dataset::from_u8([0], vec![], Labels::index(vec![], 1)).is_err());
    }

    #[test]
    fn labels_that_do_not_fit_the_samples_are_an_error() {
        let few = Dataset::from_u8([1], vec![0; 3], Labels::index(vec![0; 2], 1)).unwrap_err();
        assert_eq!(few.to_string(), "expected 3 label values for 3 samples, found 2");
        let few = Dataset::from_u8([1], vec![0; 3], Labels::one_hot(vec![0.0; 5], 2)).unwrap_err();
        assert_eq!(few.to_string(), "expected 6 label values for 3 samples, found 5");
        let high = Dataset::from_u8([1], vec![0; 3], Labels::index(vec![0, 1, 10], 10)).unwrap_err();
        assert_eq!(high.to_string(), "sample 2: expected a label below 10, found 10");
    }
}
