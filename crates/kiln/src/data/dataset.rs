//! Samples with labels.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use kiln_graph::{DType, Shape};

use super::rows::rows;
use super::samples::Samples;
use super::stream::Streamed;
use super::{DataError, Labels, SampleValue, Shared, Source, Standardization, Values};
use crate::Error;

/// Samples of one shape, and a label for each unless they are only for predictions. A model sees `value * scale + offset`,
/// standardized if [`Augmentation::standardize`](crate::augmentation::Augmentation::standardize) says so.
///
/// A data set is a view of samples that are shared: its clones, its ranges ([`Dataset::range`], [`Dataset::split`]) and its
/// samples in another order ([`Dataset::take`]) copy none of them.
///
/// # Example
/// ```
/// use kiln::data::{Dataset, Labels};
///
/// let images = vec![0, 51, 102, 255, 255, 0, 0, 0];
/// let data = Dataset::from_u8([2, 2, 1], images, Labels::index(vec![0, 1], 2))?;
/// assert_eq!((data.len(), data.scale()), (2, 1.0 / 255.0));
///
/// let unlabelled = Dataset::from_f32([3], vec![0.5; 6], None)?;
/// assert!(unlabelled.labels().is_none());
/// # Ok::<(), kiln::data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    sample_shape: Shape,
    len: usize,
    samples: Samples,
    /// The numbers of the samples that are taken, in their order; all, if there are none.
    order: Option<Shared<u32>>,
    labels: Option<Labels>,
    class_names: Arc<[String]>,
    sample_weights: Option<Shared<f32>>,
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
    pub fn from_u8(
        sample_shape: impl Into<Shape>,
        values: Vec<u8>,
        labels: impl Into<Option<Labels>>,
    ) -> Result<Dataset, DataError> {
        let count = values.len();
        let samples = Samples::InMemory(Values::U8(values.into()));
        Dataset::new(sample_shape.into(), samples, count, labels.into())
    }

    /// A data set of floats, which a model sees as they are.
    ///
    /// # Errors
    /// As [`Dataset::from_u8`].
    pub fn from_f32(
        sample_shape: impl Into<Shape>,
        values: Vec<f32>,
        labels: impl Into<Option<Labels>>,
    ) -> Result<Dataset, DataError> {
        let count = values.len();
        let samples = Samples::InMemory(Values::F32(values.into()));
        Dataset::new(sample_shape.into(), samples, count, labels.into())
    }

    /// A data set whose samples are read when they are needed; a model sees bytes as those of [`Dataset::from_u8`], floats as
    /// they are. Samples that fit a device are read once and stay there; of others, a thread reads the next chunk while the
    /// device computes, again in each epoch. Results are the same, bit for bit.
    ///
    /// # Errors
    /// When samples have no values, or `labels` do not fit them.
    pub fn streamed<S: Source<Value: SampleValue> + 'static>(
        source: S,
        labels: impl Into<Option<Labels>>,
    ) -> Result<Dataset, DataError> {
        let (shape, count) = (source.sample_shape(), source.len() * source.sample_shape().elements());
        Dataset::new(shape, Samples::Streamed(Streamed::new(source)), count, labels.into())
    }

    fn new(shape: Shape, samples: Samples, count: usize, labels: Option<Labels>) -> Result<Dataset, DataError> {
        let elements = shape.elements();
        if elements == 0 || !count.is_multiple_of(elements) {
            return Err(DataError::Values { shape, found: count });
        }
        let len = count / elements;
        labels.as_ref().map_or(Ok(()), |labels| labels.check(len))?;
        let of_bytes = samples.dtype() == DType::U8;
        Ok(Dataset {
            sample_shape: shape,
            len,
            samples,
            order: None,
            labels,
            class_names: Arc::default(),
            sample_weights: None,
            scale: if of_bytes { 1.0 / 255.0 } else { 1.0 },
            offset: 0.0,
            scale_is_implied: of_bytes,
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
        match self.len {
            samples if samples == weights.len() => Ok(Dataset { sample_weights: Some(weights.into()), ..self }),
            samples => Err(DataError::SampleWeights { samples, found: weights.len() }),
        }
    }

    /// The same samples, weighted by their classes.
    ///
    /// # Errors
    /// When they have weights already or no labels, a class is not among theirs, or a weight is negative or no number.
    pub(crate) fn with_class_weight(self, class_weight: &BTreeMap<usize, f32>) -> crate::Result<Dataset> {
        if self.sample_weights.is_some() {
            let expected = "weights of samples or of classes, not both".to_owned();
            return Err(Error::Argument { name: "class_weight", expected, found: "a data set with both".to_owned() });
        }
        let argument = |expected, found| Err(Error::Argument { name: "class_weight", expected, found });
        let Some(labels) = &self.labels else {
            return argument("a data set with labels".to_owned(), "one without".to_owned());
        };
        let indices = labels.class_indices();
        let classes = match labels {
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

    /// The same samples, the values of each changed: now, where they are in memory, else when they are read.
    pub(super) fn map_samples(self, bytes: fn(&mut [u8]), floats: fn(&mut [f32])) -> Dataset {
        fn changed<T: Copy>(values: &[T], elements: usize, change: fn(&mut [T])) -> Shared<T> {
            let mut values = values.to_vec();
            values.chunks_exact_mut(elements).for_each(change);
            values.into()
        }
        let elements = self.sample_shape.elements();
        let samples = match &self.samples {
            Samples::InMemory(Values::U8(values)) => Samples::InMemory(Values::U8(changed(values, elements, bytes))),
            Samples::InMemory(Values::F32(values)) => Samples::InMemory(Values::F32(changed(values, elements, floats))),
            Samples::Streamed(streamed) => Samples::Streamed(streamed.map(bytes, floats)),
        };
        Dataset { samples, ..self }
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

    /// The same samples in memory, in one piece: none of them streamed, and in the order of their numbers.
    ///
    /// # Errors
    /// The error of the source of streamed samples, and [`DataError::Memory`].
    pub fn in_memory(&self) -> Result<Dataset, DataError> {
        Ok(Dataset { samples: Samples::InMemory(self.values()?), order: None, ..self.clone() })
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The shape of one sample.
    pub fn sample_shape(&self) -> &Shape {
        &self.sample_shape
    }

    /// The number of classes, 0 without labels.
    pub fn classes(&self) -> usize {
        self.labels.as_ref().map_or(0, Labels::classes)
    }

    /// The name of each class, or nothing where they are not known.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// How much each sample counts, if not all count the same.
    pub fn sample_weights(&self) -> Option<&Shared<f32>> {
        self.sample_weights.as_ref()
    }

    /// The values of all samples, before scale and offset: shared where they are in memory in one piece, else copied or read.
    ///
    /// # Errors
    /// The error of the source of streamed samples, and [`DataError::Memory`].
    pub fn values(&self) -> Result<Values, DataError> {
        match (&self.samples, &self.order) {
            (Samples::InMemory(values), None) => Ok(values.clone()),
            (samples, Some(order)) => samples.take(order, self.sample_shape.elements()),
            (samples, None) => {
                let order: Vec<u32> = (0..self.len as u32).collect();
                samples.take(&order, self.sample_shape.elements())
            }
        }
    }

    /// Whether samples are read when they are needed.
    pub fn is_streamed(&self) -> bool {
        matches!(self.samples, Samples::Streamed(_))
    }

    /// The element type of the samples on a device.
    pub fn dtype(&self) -> DType {
        self.samples.dtype()
    }

    /// The samples of a range, as a device holds them.
    ///
    /// # Errors
    /// As [`Dataset::values`].
    pub(crate) fn slice(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>, DataError> {
        let elements = self.sample_shape.elements();
        match &self.order {
            None => self.samples.slice(range, elements),
            Some(order) => self.samples.gather(&order[range], elements).map(Cow::Owned),
        }
    }

    /// Whether a device that holds this data set holds the other: the same samples in memory or of a source, and equal labels,
    /// weights, preprocessing and chunks.
    pub(crate) fn is(&self, other: &Dataset) -> bool {
        let same_samples = self.samples.is(&other.samples) && self.order == other.order && self.len == other.len;
        let same_rule =
            (self.scale, self.offset, &self.standardization) == (other.scale, other.offset, &other.standardization);
        let same_labels = self.labels == other.labels && self.sample_weights == other.sample_weights;
        same_samples && same_rule && same_labels && self.sample_shape == other.sample_shape && self.chunk == other.chunk
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

    /// The labels, if there are any.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// The first `n` samples, or all if there are fewer.
    pub fn head(&self, n: usize) -> Dataset {
        self.range(0..n)
    }

    /// The samples of a range, cut to those that there are. Copies none of them.
    pub fn range(&self, range: Range<usize>) -> Dataset {
        let end = range.end.min(self.len);
        let range = range.start.min(end)..end;
        let (samples, order) = match &self.order {
            Some(order) => (self.samples.clone(), Some(order.range(range.clone()))),
            None => (self.samples.range(range.clone(), self.sample_shape.elements()), None),
        };
        Dataset {
            len: range.len(),
            samples,
            order,
            labels: self.labels.as_ref().map(|labels| labels.range(range.clone())),
            sample_weights: self.sample_weights.as_ref().map(|weights| weights.range(range)),
            ..self.clone()
        }
    }

    /// The samples of these numbers, in this order. Copies none of them, but their labels and weights.
    ///
    /// # Errors
    /// [`DataError::NoSample`] when there is no sample of a number, and [`DataError::Memory`].
    pub fn take(&self, numbers: &[u32]) -> Result<Dataset, DataError> {
        if let Some(&found) = numbers.iter().find(|&&number| number as usize >= self.len) {
            return Err(DataError::NoSample { samples: self.len, found });
        }
        let order = match &self.order {
            Some(order) => rows(order, numbers, 1)?,
            None => numbers.to_vec(),
        };
        let weights = self.sample_weights.as_ref().map(|weights| rows(weights, numbers, 1)).transpose()?;
        Ok(Dataset {
            len: numbers.len(),
            order: Some(order.into()),
            labels: self.labels.as_ref().map(|labels| labels.take(numbers)).transpose()?,
            sample_weights: weights.map(Shared::from),
            ..self.clone()
        })
    }

    /// The same samples with other labels, or without. Names of classes are kept if there are as many.
    ///
    /// # Errors
    /// When the labels do not fit the samples.
    pub fn with_labels(self, labels: impl Into<Option<Labels>>) -> Result<Dataset, DataError> {
        let labels = labels.into();
        labels.as_ref().map_or(Ok(()), |labels| labels.check(self.len))?;
        let classes = labels.as_ref().map_or(0, Labels::classes);
        let class_names = if self.class_names.len() == classes { self.class_names } else { Arc::default() };
        Ok(Dataset { labels, class_names, ..self })
    }

    /// Everything but the last `fraction` of the samples, and those: the first `int(n * (1 - fraction))` and the rest,
    /// which is how Keras takes `validation_split`. Copies none of them. A fraction outside 0 to 1 counts as the nearer of the two.
    pub fn split(&self, fraction: f64) -> (Dataset, Dataset) {
        let first = (self.len as f64 * (1.0 - fraction.clamp(0.0, 1.0))) as usize;
        (self.range(0..first), self.range(first..self.len))
    }
}

#[cfg(test)]
mod tests;
