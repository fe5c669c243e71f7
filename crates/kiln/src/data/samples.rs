//! The values of samples: in memory, or read on demand.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use kiln_graph::DType;

use super::rows::rows;
use super::stream::Streamed;
use super::{DataError, Shared};

/// Values of samples in contiguous memory, images as `[H, W, C]`.
#[derive(Clone, PartialEq)]
pub enum Values {
    /// Bytes, as in image files.
    U8(Shared<u8>),
    /// Floats.
    F32(Shared<f32>),
}

impl Values {
    /// All values as bytes for a device.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Values::U8(values) => values,
            Values::F32(values) => bytemuck::cast_slice(values),
        }
    }

    fn is(&self, other: &Values) -> bool {
        match (self, other) {
            (Values::U8(a), Values::U8(b)) => a.is(b),
            (Values::F32(a), Values::F32(b)) => a.is(b),
            _ => false,
        }
    }

    fn range(&self, span: Range<usize>) -> Values {
        match self {
            Values::U8(values) => Values::U8(values.range(span)),
            Values::F32(values) => Values::F32(values.range(span)),
        }
    }
}

/// The samples of a data set: in memory, or read on demand.
#[derive(Clone, Debug)]
pub(super) enum Samples {
    InMemory(Values),
    Streamed(Streamed),
}

impl Samples {
    /// The element type on a device.
    pub fn dtype(&self) -> DType {
        match self {
            Samples::InMemory(Values::U8(_)) => DType::U8,
            Samples::InMemory(Values::F32(_)) => DType::F32,
            Samples::Streamed(streamed) => streamed.dtype(),
        }
    }

    /// Whether both are the same range of the same memory or source, not only equal values.
    pub fn is(&self, other: &Samples) -> bool {
        match (self, other) {
            (Samples::InMemory(a), Samples::InMemory(b)) => a.is(b),
            (Samples::Streamed(a), Samples::Streamed(b)) => a.is(b),
            _ => false,
        }
    }

    /// A range of samples of `elements` values.
    pub fn range(&self, samples: Range<usize>, elements: usize) -> Samples {
        match self {
            Samples::InMemory(values) => {
                Samples::InMemory(values.range(samples.start * elements..samples.end * elements))
            }
            Samples::Streamed(streamed) => Samples::Streamed(streamed.from(samples.start)),
        }
    }

    /// The samples with these indices, each of `elements` values.
    ///
    /// # Errors
    /// An error of the source of streamed samples, or [`DataError::Memory`].
    pub fn take(&self, order: &[u32], elements: usize) -> Result<Values, DataError> {
        Ok(match self {
            Samples::InMemory(Values::U8(values)) => Values::U8(rows(values, order, elements)?.into()),
            Samples::InMemory(Values::F32(values)) => Values::F32(rows(values, order, elements)?.into()),
            Samples::Streamed(streamed) => streamed.values(order, elements)?,
        })
    }

    /// The samples with these indices, each of `elements` values, as bytes for a device.
    ///
    /// # Errors
    /// As [`Samples::take`].
    pub fn gather(&self, order: &[u32], elements: usize) -> Result<Vec<u8>, DataError> {
        match self {
            Samples::InMemory(values) => rows(values.bytes(), order, elements * self.dtype().bytes() as usize),
            Samples::Streamed(streamed) => streamed.gather(order, elements),
        }
    }

    /// A range of samples as bytes for a device: shared if they are in memory.
    ///
    /// # Errors
    /// As [`Samples::take`].
    pub fn slice(&self, samples: Range<usize>, elements: usize) -> Result<Cow<'_, [u8]>, DataError> {
        match self {
            Samples::InMemory(values) => {
                let bytes = elements * self.dtype().bytes() as usize;
                Ok(Cow::Borrowed(&values.bytes()[samples.start * bytes..samples.end * bytes]))
            }
            Samples::Streamed(streamed) => {
                let order: Vec<u32> = (samples.start as u32..samples.end as u32).collect();
                streamed.gather(&order, elements).map(Cow::Owned)
            }
        }
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
