//! The labels of samples.

use std::fmt;
use std::ops::Range;

use kiln_graph::{DType, TensorType};

use super::rows::rows;
use super::{DataError, Shared};

/// A label for each sample.
#[derive(Clone, PartialEq)]
pub enum Labels {
    /// The index of each sample's class.
    Index {
        /// One index per sample, below `classes`.
        values: Shared<u32>,
        /// The number of classes.
        classes: usize,
    },
    /// For each sample, one value per output of the model: regression targets, one-hot classes, or probabilities.
    Values {
        /// `[samples, size]`
        values: Shared<f32>,
        /// The number of values per sample.
        size: usize,
    },
}

impl Labels {
    /// Labels as class indices.
    pub fn index(values: Vec<u32>, classes: usize) -> Labels {
        Labels::Index { values: values.into(), classes }
    }

    /// One-hot labels, `[samples, classes]`.
    pub fn one_hot(values: Vec<f32>, classes: usize) -> Labels {
        Labels::values(values, classes)
    }

    /// Labels as regression targets, `[samples, size]`.
    pub fn values(values: Vec<f32>, size: usize) -> Labels {
        Labels::Values { values: values.into(), size }
    }

    /// The number of classes, or of values per sample.
    pub fn classes(&self) -> usize {
        match self {
            Labels::Index { classes, .. } => *classes,
            Labels::Values { size, .. } => *size,
        }
    }

    /// The class of each sample: its index, or the index of its largest value (the first of equal ones). A single value
    /// per sample is the class itself.
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
            Labels::Index { values, classes } => Labels::Index { values: values.range(range), classes: *classes },
            Labels::Values { values, size } => {
                Labels::Values { values: values.range(range.start * size..range.end * size), size: *size }
            }
        }
    }

    /// The labels of the samples with these indices.
    ///
    /// # Errors
    /// [`DataError::Memory`].
    pub(super) fn take(&self, numbers: &[u32]) -> Result<Labels, DataError> {
        Ok(match self {
            Labels::Index { values, classes } => Labels::index(rows(values, numbers, 1)?, *classes),
            Labels::Values { values, size } => Labels::values(rows(values, numbers, *size)?, *size),
        })
    }

    /// The tensor type of `samples` labels on a device.
    pub(crate) fn ty(&self, samples: usize) -> TensorType {
        match self {
            Labels::Index { .. } => TensorType::new([samples], DType::U32),
            Labels::Values { size, .. } => TensorType::f32([samples, *size]),
        }
    }

    /// All labels as bytes for a device.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Labels::Index { values, .. } => bytemuck::cast_slice(values),
            Labels::Values { values, .. } => bytemuck::cast_slice(values),
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
