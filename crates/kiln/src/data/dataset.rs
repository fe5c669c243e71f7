//! Samples with labels.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use kiln_graph::Shape;

use super::{DataError, Labels, Source, Streamed, Values};
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
    /// Whether the scale is the one that bytes have where nobody said which.
    scale_is_implied: bool,
    standardization: Standardization,
    chunk: Option<usize>,
}

impl Dataset {
    /// A data set of bytes, which a model sees divided by 255: as 0 to 1. See [`Dataset::rescaled`] for another rule, which
    /// models that rescale their input themselves ask for ([`Model::rescales_input`](crate::Model::rescales_input)):
    /// they see bytes as 0 to 255 with `rescaled(1.0, 0.0)`, and it is an error when nothing was said.
    ///
    /// # Errors
    /// When `values` is not a whole number of samples, or `labels` do not fit them.
    pub fn from_u8(sample_shape: impl Into<Shape>, values: Vec<u8>, labels: Labels) -> Result<Dataset, DataError> {
        let count = values.len();
        Dataset::of_bytes(sample_shape.into(), Values::U8(values.into()), count, labels)
    }

    /// A data set of floats, which a model sees as they are.
    ///
    /// # Errors
    /// As [`Dataset::from_u8`].
    pub fn from_f32(sample_shape: impl Into<Shape>, values: Vec<f32>, labels: Labels) -> Result<Dataset, DataError> {
        let count = values.len();
        Dataset::new(sample_shape.into(), Values::F32(values.into()), count, labels)
    }

    /// A data set of bytes that are read when they are needed; a model sees them as those of [`Dataset::from_u8`]. What fits a device is
    /// read once and lies there; of what does not, a thread reads the next chunk while the device computes, again in
    /// each epoch. Results are the same, bit for bit.
    ///
    /// # Errors
    /// When samples have no values, or `labels` do not fit them.
    pub fn streamed(source: impl Source + 'static, labels: Labels) -> Result<Dataset, DataError> {
        let (shape, count) = (source.sample_shape(), source.len() * source.sample_shape().elements());
        let values = Values::Streamed(Streamed::new(source));
        Dataset::of_bytes(shape, values, count, labels)
    }

    fn of_bytes(shape: Shape, values: Values, count: usize, labels: Labels) -> Result<Dataset, DataError> {
        let data = Dataset::new(shape, values, count, labels)?;
        Ok(Dataset { scale: 1.0 / 255.0, scale_is_implied: true, ..data })
    }

    fn new(shape: Shape, values: Values, count: usize, labels: Labels) -> Result<Dataset, DataError> {
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
            scale: 1.0,
            offset: 0.0,
            scale_is_implied: false,
            standardization: Standardization::default(),
            chunk: None,
        })
    }

    /// The same samples, which a model sees as `value * scale + offset`.
    pub fn rescaled(self, scale: f32, offset: f32) -> Dataset {
        Dataset { scale, offset, scale_is_implied: false, ..self }
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
    /// When they have weights already, a class is not among theirs, or a weight is negative or no number.
    pub(crate) fn with_class_weight(self, class_weight: &BTreeMap<usize, f32>) -> crate::Result<Dataset> {
        if self.sample_weights.is_some() {
            let expected = "weights of samples or of classes, not both".to_owned();
            return Err(Error::Argument { name: "class_weight", expected, found: "a data set with both".to_owned() });
        }
        let argument = |expected, found| Err(Error::Argument { name: "class_weight", expected, found });
        let indices = self.labels.class_indices();
        let classes = match self.labels {
            Labels::Values { size: 1, .. } => indices.iter().max().map_or(0, |last| last + 1),
            _ => self.classes(),
        };
        if let Some((class, _)) = class_weight.iter().find(|(class, _)| **class >= classes) {
            let last = classes.saturating_sub(1);
            return argument(format!("classes 0 to {last}, as the labels have"), format!("class {class}"));
        }
        if let Some((class, weight)) = class_weight.iter().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0))
        {
            return argument("weights that are numbers, 0 or more".to_owned(), format!("{weight} for class {class}"));
        }
        let weight = |class: &usize| class_weight.get(class).copied().unwrap_or(1.0);
        let weights = indices.iter().map(weight).collect();
        Ok(self.with_sample_weights(weights)?)
    }

    /// Samples of the same shape and number with these values.
    pub(super) fn with_values(self, values: Values) -> Dataset {
        Dataset { values, ..self }
    }

    /// The same samples, of which a model sees what standardization makes of `value * scale + offset`.
    pub(crate) fn standardized(self, standardization: Standardization) -> Dataset {
        Dataset { standardization, ..self }
    }

    /// The same samples, of which at most so many lie on a device at a time, but at least one: for a device whose memory
    /// is short. Otherwise a device holds all that it can bind at once.
    pub fn in_chunks(self, samples: usize) -> Dataset {
        Dataset { chunk: Some(samples.max(1)), ..self }
    }

    /// The same samples, none of them streamed.
    ///
    /// # Errors
    /// What the source of streamed samples says.
    pub fn in_memory(&self) -> Result<Dataset, DataError> {
        let Values::Streamed(streamed) = &self.values else { return Ok(self.clone()) };
        let order: Vec<u32> = (0..self.samples as u32).collect();
        let values = streamed.gather(&order, self.sample_shape.elements())?;
        Ok(Dataset { values: Values::U8(values.into()), ..self.clone() })
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

    /// Whether bytes are divided by 255 because nobody said how they are scaled.
    pub(crate) fn scale_is_implied(&self) -> bool {
        self.scale_is_implied
    }

    /// What becomes of the values after that.
    pub(crate) fn standardization(&self) -> &Standardization {
        &self.standardization
    }

    /// How many samples lie on a device at a time at most, if [`Dataset::in_chunks`] said.
    pub fn chunk(&self) -> Option<usize> {
        self.chunk
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
        let values = self.values.range(start..end, self.sample_shape.elements());
        let labels = self.labels.range(start..end);
        let sample_weights = self.sample_weights.as_ref().map(|weights| weights[start..end].into());
        Dataset { samples: end - start, values, labels, sample_weights, ..self.clone() }
    }

    /// The samples of these numbers, in this order. Streamed ones are read.
    ///
    /// # Errors
    /// When there is no sample of a number, and what the source of streamed samples says.
    pub fn take(&self, numbers: &[u32]) -> Result<Dataset, DataError> {
        if let Some(&found) = numbers.iter().find(|&&number| number as usize >= self.samples) {
            return Err(DataError::NoSample { samples: self.samples, found });
        }
        let of_weights = |weights: &Arc<[f32]>| numbers.iter().map(|&number| weights[number as usize]).collect();
        Ok(Dataset {
            samples: numbers.len(),
            values: self.values.take(numbers, self.sample_shape.elements())?,
            labels: self.labels.take(numbers)?,
            sample_weights: self.sample_weights.as_ref().map(of_weights),
            ..self.clone()
        })
    }

    /// The same samples with other labels. Names of classes are kept if there are as many.
    ///
    /// # Errors
    /// When the labels do not fit the samples.
    pub fn with_labels(self, labels: Labels) -> Result<Dataset, DataError> {
        labels.check(self.samples)?;
        let named = self.class_names.len() == labels.classes();
        let class_names = if named { self.class_names } else { Arc::default() };
        Ok(Dataset { labels, class_names, ..self })
    }

    /// Everything but the last `fraction` of the samples, and those: the first `int(n * (1 - fraction))` and the rest,
    /// which is how Keras takes `validation_split`. A fraction outside 0 to 1 counts as the nearer of the two.
    pub fn split(&self, fraction: f64) -> (Dataset, Dataset) {
        let first = (self.samples as f64 * (1.0 - fraction.clamp(0.0, 1.0))) as usize;
        (self.range(0..first), self.range(first..self.samples))
    }
}

#[cfg(test)]
mod tests;
