//! Gathers rows of a table in memory.

use bytemuck::Pod;

use super::DataError;
use crate::memory;

/// The rows with these indices, each of `elements` values.
///
/// # Errors
/// [`DataError::Memory`].
pub(crate) fn rows<T: Pod>(values: &[T], order: &[u32], elements: usize) -> Result<Vec<T>, DataError> {
    let count = order.len().saturating_mul(elements);
    let no_memory = |_| no_memory(order.len(), count.saturating_mul(size_of::<T>()));
    let mut taken = memory::with_capacity(count).map_err(no_memory)?;
    for &row in order {
        taken.extend_from_slice(&values[row as usize * elements..][..elements]);
    }
    Ok(taken)
}

/// The error for `samples` samples of `bytes` bytes.
pub(super) fn no_memory(samples: usize, bytes: usize) -> DataError {
    DataError::Memory { what: format!("{samples} samples"), bytes: bytes as u64, limit: None }
}
