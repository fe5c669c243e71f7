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

/// Samples of one shape, with a label for each unless they are only for predictions. The model's input is `value *
/// scale + offset`, standardized if [`Augmentation::standardize`](crate::augmentation::Augmentation::standardize) was
/// applied.
///
/// A data set is a view of shared samples: clones, ranges ([`Dataset::range`], [`Dataset::split`]) and selections
/// ([`Dataset::take`]) do not copy samples.
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
    /// The indices of the selected samples in order; `None` for all.
    order: Option<Shared<u32>>,
    labels: Option<Labels>,
    class_names: Arc<[String]>,
    sample_weights: Option<Shared<f32>>,
    scale: f32,
    offset: f32,
    /// Whether the scale is the default for bytes.
    scale_is_implied: bool,
    standardization: Standardization,
    chunk: Option<usize>,
}

impl Dataset {
    /// A data set of bytes, scaled by 1/255 to 0 to 1. See [`Dataset::rescaled`] for another scale, which models that
    /// rescale their input themselves require ([`Model::rescales_input`](crate::Model::rescales_input)): `rescaled(1.0,
    /// 0.0)` keeps 0 to 255, and the default is an error.
    ///
    /// # Errors
    /// If `values` is not a whole number of samples, or `labels` do not match them.
    pub fn from_u8(
        sample_shape: impl Into<Shape>,
        values: Vec<u8>,
        labels: impl Into<Option<Labels>>,
    ) -> Result<Dataset, DataError> {
        let count = values.len();
        let samples = Samples::InMemory(Values::U8(values.into()));
        Dataset::new(sample_shape.into(), samples, count, labels.into())
    }

    /// A data set of floats, which are not scaled.
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

    /// A data set whose samples are read on demand; bytes are scaled as by [`Dataset::from_u8`], floats are not scaled.
    /// Samples that fit on a device are read once and stay there; otherwise, a thread reads the next chunk while the
    /// device computes, in each epoch. Results are bit-identical.
    ///
    /// # Errors
    /// If samples have no values, or `labels` do not match them.
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

    /// Scales the samples: the model's input is `value * scale + offset`.
    pub fn rescaled(self, scale: f32, offset: f32) -> Dataset {
        Dataset { scale, offset, scale_is_implied: false, ..self }
    }

    /// Sets the names of the classes.
    ///
    /// # Errors
    /// If the numbers of names and classes differ.
    pub fn with_class_names(self, names: Vec<String>) -> Result<Dataset, DataError> {
        match self.classes() {
            classes if classes == names.len() => Ok(Dataset { class_names: names.into(), ..self }),
            classes => Err(DataError::ClassNames { classes, found: names.len() }),
        }
    }

    /// Sets sample weights, the factors of the samples' losses. A mean loss is still divided by the number of samples,
    /// as in Keras 3. Metrics ignore weights.
    ///
    /// # Errors
    /// If the numbers of weights and samples differ.
    pub fn with_sample_weights(self, weights: Vec<f32>) -> Result<Dataset, DataError> {
        match self.len {
            samples if samples == weights.len() => Ok(Dataset { sample_weights: Some(weights.into()), ..self }),
            samples => Err(DataError::SampleWeights { samples, found: weights.len() }),
        }
    }

    /// Weights the samples by their classes.
    ///
    /// # Errors
    /// If they already have weights or have no labels, a class does not exist, or a weight is negative or not finite.
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
            return argument(format!("one of the classes 0 to {last}"), format!("class {class}"));
        }
        if let Some((class, weight)) = class_weight.iter().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0))
        {
            return argument("weights that are numbers, 0 or more".to_owned(), format!("{weight} for class {class}"));
        }
        let weight = |class: &usize| class_weight.get(class).copied().unwrap_or(1.0);
        let weights = indices.iter().map(weight).collect();
        Ok(self.with_sample_weights(weights)?)
    }

    /// Transforms the values of each sample, immediately in memory, else on reading.
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

    /// Standardizes the model's input after scaling.
    pub(crate) fn standardized(self, standardization: Standardization) -> Dataset {
        Dataset { standardization, ..self }
    }

    /// Limits the number of samples on a device at a time, at least one, for devices with little memory. By default, a
    /// device has as many as it can bind at once.
    pub fn in_chunks(self, samples: usize) -> Dataset {
        Dataset { chunk: Some(samples.max(1)), ..self }
    }

    /// Copies the samples to contiguous memory: not streamed, and in order.
    ///
    /// # Errors
    /// An error of the source of streamed samples, or [`DataError::Memory`].
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

    /// The names of the classes; empty if unknown.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The sample weights, if any.
    pub fn sample_weights(&self) -> Option<&Shared<f32>> {
        self.sample_weights.as_ref()
    }

    /// The unscaled values of all samples: shared if they are contiguous in memory, else copied or read.
    ///
    /// # Errors
    /// An error of the source of streamed samples, or [`DataError::Memory`].
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

    /// Whether samples are read on demand.
    pub fn is_streamed(&self) -> bool {
        matches!(self.samples, Samples::Streamed(_))
    }

    /// The element type of the samples on a device.
    pub fn dtype(&self) -> DType {
        self.samples.dtype()
    }

    /// The samples of a range as bytes for a device.
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

    /// Whether the other data set has the same data on a device: the same samples in memory or of a source, and equal
    /// labels, weights, preprocessing and chunks.
    pub(crate) fn is(&self, other: &Dataset) -> bool {
        let same_samples = self.samples.is(&other.samples) && self.order == other.order && self.len == other.len;
        let same_rule =
            (self.scale, self.offset, &self.standardization) == (other.scale, other.offset, &other.standardization);
        let same_labels = self.labels == other.labels && self.sample_weights == other.sample_weights;
        same_samples && same_rule && same_labels && self.sample_shape == other.sample_shape && self.chunk == other.chunk
    }

    /// The scale of the values.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The offset added to scaled values.
    pub fn offset(&self) -> f32 {
        self.offset
    }

    /// Whether bytes have the default scale 1/255.
    pub(crate) fn scale_is_implied(&self) -> bool {
        self.scale_is_implied
    }

    /// The standardization after scaling.
    pub(crate) fn standardization(&self) -> &Standardization {
        &self.standardization
    }

    /// The maximum number of samples on a device at a time, if set by [`Dataset::in_chunks`].
    pub fn chunk(&self) -> Option<usize> {
        self.chunk
    }

    /// The labels, if any.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// The first `n` samples, or all if there are fewer.
    pub fn head(&self, n: usize) -> Dataset {
        self.range(0..n)
    }

    /// The samples of a range, clamped to the existing ones. Does not copy samples.
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

    /// Selects samples by index, in this order. Copies their labels and weights, but not the samples.
    ///
    /// # Errors
    /// [`DataError::NoSample`] if an index is out of range, or [`DataError::Memory`].
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

    /// Replaces or removes the labels. Keeps the names of the classes if their number stays the same.
    ///
    /// # Errors
    /// If the labels do not match the samples.
    pub fn with_labels(self, labels: impl Into<Option<Labels>>) -> Result<Dataset, DataError> {
        let labels = labels.into();
        labels.as_ref().map_or(Ok(()), |labels| labels.check(self.len))?;
        let classes = labels.as_ref().map_or(0, Labels::classes);
        let class_names = if self.class_names.len() == classes { self.class_names } else { Arc::default() };
        Ok(Dataset { labels, class_names, ..self })
    }

    /// Splits off the last `fraction` of the samples: returns the first `int(n * (1 - fraction))` and the rest, as
    /// Keras' `validation_split`. Does not copy samples. The fraction is clamped to 0 to 1.
    pub fn split(&self, fraction: f64) -> (Dataset, Dataset) {
        let first = (self.len as f64 * (1.0 - fraction.clamp(0.0, 1.0))) as usize;
        (self.range(0..first), self.range(first..self.len))
    }
}

#[cfg(test)]
mod tests;
