//! What samples and labels are kept as.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use kiln_graph::{DType, TensorType};

use super::{DataError, Streamed};
use crate::memory;

/// The values of all samples, one sample after the other, images as `[H, W, C]`.
#[derive(Clone, PartialEq)]
pub enum Values {
    /// Bytes, as image files hold them.
    U8(Arc<[u8]>),
    /// Floats.
    F32(Arc<[f32]>),
    /// Bytes that are read when they are needed.
    Streamed(Streamed),
}

impl Values {
    /// The element type that a device holds them as.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Values::U8(_) | Values::Streamed(_) => DType::U8,
            Values::F32(_) => DType::F32,
        }
    }

    /// Whether these are the same memory or the same source, not only equal values.
    pub(crate) fn is(&self, other: &Values) -> bool {
        match (self, other) {
            (Values::U8(a), Values::U8(b)) => Arc::ptr_eq(a, b),
            (Values::F32(a), Values::F32(b)) => Arc::ptr_eq(a, b),
            (Values::Streamed(a), Values::Streamed(b)) => a == b,
            _ => false,
        }
    }

    /// The values of a range of samples, each of so many values.
    pub(super) fn range(&self, samples: Range<usize>, elements: usize) -> Values {
        let span = samples.start * elements..samples.end * elements;
        match self {
            Values::U8(values) => Values::U8(values[span].into()),
            Values::F32(values) => Values::F32(values[span].into()),
            Values::Streamed(streamed) => Values::Streamed(streamed.from(samples.start)),
        }
    }

    /// The samples of these numbers, each of so many values.
    ///
    /// # Errors
    /// What the source of streamed values says.
    pub(super) fn take(&self, numbers: &[u32], elements: usize) -> Result<Values, DataError> {
        let bytes = self.gather(numbers, elements)?;
        Ok(match self {
            Values::F32(_) => Values::F32(bytemuck::pod_collect_to_vec(&bytes).into()),
            Values::U8(_) | Values::Streamed(_) => Values::U8(bytes.into()),
        })
    }

    /// The samples of these numbers, each of so many values, as a device holds them.
    ///
    /// # Errors
    /// What the source of streamed values says.
    pub(crate) fn gather(&self, order: &[u32], elements: usize) -> Result<Vec<u8>, DataError> {
        match self {
            Values::U8(values) => rows(values, order, elements),
            Values::F32(values) => rows(values, order, elements),
            Values::Streamed(streamed) => streamed.gather(order, elements),
        }
    }
}

/// The rows of these numbers, each of so many values, as a device holds them.
///
/// # Errors
/// [`DataError::Memory`].
pub(crate) fn rows<T: Pod>(values: &[T], order: &[u32], elements: usize) -> Result<Vec<u8>, DataError> {
    let count = order.len().saturating_mul(elements).saturating_mul(size_of::<T>());
    let mut bytes = memory::with_capacity(count).map_err(|_| no_memory(order.len(), count))?;
    for &row in order {
        bytes.extend_from_slice(bytemuck::cast_slice(&values[row as usize * elements..][..elements]));
    }
    Ok(bytes)
}

/// The error of so many samples that take so many bytes.
pub(super) fn no_memory(samples: usize, bytes: usize) -> DataError {
    DataError::Memory { what: format!("{samples} samples"), bytes: bytes as u64, limit: None }
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

    pub(super) fn check(&self, samples: usize) -> Result<(), DataError> {
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

    pub(super) fn range(&self, range: Range<usize>) -> Labels {
        match self {
            Labels::Index { values, classes } => Labels::Index { values: values[range].into(), classes: *classes },
            Labels::Values { values, size } => {
                Labels::Values { values: values[range.start * size..range.end * size].into(), size: *size }
            }
        }
    }

    /// The labels of the samples of these numbers.
    ///
    /// # Errors
    /// [`DataError::Memory`].
    pub(super) fn take(&self, numbers: &[u32]) -> Result<Labels, DataError> {
        let bytes = self.gather(numbers)?;
        Ok(match self {
            Labels::Index { classes, .. } => Labels::index(bytemuck::pod_collect_to_vec(&bytes), *classes),
            Labels::Values { size, .. } => Labels::values(bytemuck::pod_collect_to_vec(&bytes), *size),
        })
    }

    /// Whether these are the same memory, not only equal values.
    pub(crate) fn is(&self, other: &Labels) -> bool {
        match (self, other) {
            (Labels::Index { values: a, .. }, Labels::Index { values: b, .. }) => Arc::ptr_eq(a, b),
            (Labels::Values { values: a, .. }, Labels::Values { values: b, .. }) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The type that so many labels have on a device.
    pub(crate) fn ty(&self, samples: usize) -> TensorType {
        match self {
            Labels::Index { .. } => TensorType::new([samples], DType::U32),
            Labels::Values { size, .. } => TensorType::f32([samples, *size]),
        }
    }

    /// The labels of the samples of these numbers, as a device holds them.
    ///
    /// # Errors
    /// [`DataError::Memory`].
    pub(crate) fn gather(&self, order: &[u32]) -> Result<Vec<u8>, DataError> {
        match self {
            Labels::Index { values, .. } => rows(values, order, 1),
            Labels::Values { values, size } => rows(values, order, *size),
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::U8(values) => write!(f, "U8({} values)", values.len()),
            Values::F32(values) => write!(f, "F32({} values)", values.len()),
            Values::Streamed(streamed) => streamed.fmt(f),
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
