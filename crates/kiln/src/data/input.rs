//! The values of a data set's samples for one input of a model.

use std::borrow::Cow;
use std::ops::Range;

use kiln_graph::{DType, Shape};

use super::rows::rows;
use super::samples::Samples;
use super::{DataError, Shared, Standardization, Values};

/// A value of one shape for each sample, and its preprocessing: the model's input is `value * scale + offset`,
/// standardized.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub sample_shape: Shape,
    /// The number of samples.
    pub len: usize,
    samples: Samples,
    /// The indices of the selected samples in order; `None` for all.
    order: Option<Shared<u32>>,
    pub scale: f32,
    pub offset: f32,
    /// Whether bytes have the default scale 1/255.
    pub scale_is_implied: bool,
    /// The standardization after scaling.
    pub standardization: Standardization,
}

impl Input {
    /// # Errors
    /// If `count` values are not a whole number of samples.
    pub(super) fn new(sample_shape: Shape, samples: Samples, count: usize) -> Result<Input, DataError> {
        let elements = sample_shape.elements();
        if elements == 0 || !count.is_multiple_of(elements) {
            return Err(DataError::Values { shape: sample_shape, found: count });
        }
        let of_bytes = samples.dtype() == DType::U8;
        Ok(Input {
            sample_shape,
            len: count / elements,
            samples,
            order: None,
            scale: if of_bytes { 1.0 / 255.0 } else { 1.0 },
            offset: 0.0,
            scale_is_implied: of_bytes,
            standardization: Standardization::default(),
        })
    }

    pub(super) fn rescaled(self, scale: f32, offset: f32) -> Input {
        Input { scale, offset, scale_is_implied: false, ..self }
    }

    pub(super) fn standardized(self, standardization: Standardization) -> Input {
        Input { standardization, ..self }
    }

    /// Transforms the values of each sample, immediately in memory, else on reading.
    pub(super) fn map_samples(self, bytes: fn(&mut [u8]), floats: fn(&mut [f32])) -> Input {
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
        Input { samples, ..self }
    }

    /// Copies the values to contiguous memory: not streamed, and in order.
    ///
    /// # Errors
    /// An error of the source of streamed samples, or [`DataError::Memory`].
    pub(super) fn in_memory(&self) -> Result<Input, DataError> {
        Ok(Input { samples: Samples::InMemory(self.values()?), order: None, ..self.clone() })
    }

    /// The unscaled values of all samples: shared if they are contiguous in memory, else copied or read.
    ///
    /// # Errors
    /// As [`Input::in_memory`].
    pub(super) fn values(&self) -> Result<Values, DataError> {
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
    pub(super) fn is_streamed(&self) -> bool {
        matches!(self.samples, Samples::Streamed(_))
    }

    /// The element type on a device.
    pub fn dtype(&self) -> DType {
        self.samples.dtype()
    }

    /// The samples of a range as bytes for a device.
    ///
    /// # Errors
    /// As [`Input::in_memory`].
    pub fn slice(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>, DataError> {
        let elements = self.sample_shape.elements();
        match &self.order {
            None => self.samples.slice(range, elements),
            Some(order) => self.samples.gather(&order[range], elements).map(Cow::Owned),
        }
    }

    /// Whether the other one has the same data on a device: the same samples in memory or of a source, and equal
    /// preprocessing.
    pub(super) fn is(&self, other: &Input) -> bool {
        let same_samples = self.samples.is(&other.samples) && self.order == other.order && self.len == other.len;
        let same_rule =
            (self.scale, self.offset, &self.standardization) == (other.scale, other.offset, &other.standardization);
        same_samples && same_rule && self.sample_shape == other.sample_shape
    }

    /// The samples of a range of existing ones.
    pub(super) fn range(&self, range: Range<usize>) -> Input {
        let (samples, order) = match &self.order {
            Some(order) => (self.samples.clone(), Some(order.range(range.clone()))),
            None => (self.samples.range(range.clone(), self.sample_shape.elements()), None),
        };
        Input { len: range.len(), samples, order, ..self.clone() }
    }

    /// The samples with these indices, which exist, in this order.
    ///
    /// # Errors
    /// [`DataError::Memory`].
    pub(super) fn take(&self, numbers: &[u32]) -> Result<Input, DataError> {
        let order = match &self.order {
            Some(order) => rows(order, numbers, 1)?,
            None => numbers.to_vec(),
        };
        Ok(Input { len: numbers.len(), order: Some(order.into()), ..self.clone() })
    }
}
