//! Values shared by data sets.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A shared range of values in memory: clones and ranges do not copy values. Dereferences to a slice.
///
/// # Example
/// ```
/// use kiln::data::Shared;
///
/// let all = Shared::from(vec![1.0, 2.0, 3.0, 4.0]);
/// let last = all.range(2..4);
/// assert_eq!(last[..], [3.0, 4.0]);
/// ```
#[derive(Clone)]
pub struct Shared<T> {
    all: Arc<Vec<T>>,
    range: Range<usize>,
}

impl<T> Shared<T> {
    /// The values of a range, clamped to the existing ones.
    pub fn range(&self, range: Range<usize>) -> Shared<T> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Shared { all: self.all.clone(), range: self.range.start + start..self.range.start + end }
    }

    /// Whether both are the same range of the same memory, not only equal values.
    pub(crate) fn is(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.all, &other.all) && self.range == other.range
    }
}

impl<T> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all[self.range.clone()]
    }
}

impl<T> From<Vec<T>> for Shared<T> {
    fn from(values: Vec<T>) -> Shared<T> {
        Shared { range: 0..values.len(), all: Arc::new(values) }
    }
}

impl<T, const N: usize> From<[T; N]> for Shared<T> {
    fn from(values: [T; N]) -> Shared<T> {
        Vec::from(values).into()
    }
}

impl<T> FromIterator<T> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Shared<T> {
        Vec::from_iter(values).into()
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        self[..] == other[..]
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_range_shares_its_memory() {
        let all = Shared::from_iter(0..10);
        let part = all.range(2..8).range(1..3);
        assert_eq!(part[..], [3, 4]);
        assert_eq!(part.as_ptr(), all[3..].as_ptr());
        assert_eq!(all.range(8..20)[..], [8, 9]);
        assert!(all.range(12..20).is_empty());
    }

    #[test]
    fn the_same_memory_is_told_from_equal_values() {
        let (all, other) = (Shared::from([1, 2, 1, 2]), Shared::from([1, 2]));
        assert!(all.range(0..2).is(&all.clone().range(0..2)));
        assert!(!all.range(0..2).is(&all.range(2..4)) && !all.range(0..2).is(&other));
        assert_eq!(all.range(0..2), other);
    }
}
