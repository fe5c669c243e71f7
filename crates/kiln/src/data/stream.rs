//! Samples that are read when they are needed, for data sets that are larger than memory.

use std::fmt;
use std::sync::Arc;

use kiln_graph::Shape;
use rayon::prelude::*;

use super::DataError;
use super::values::no_memory;
use crate::memory;

/// Where samples come from that are read when they are needed: files, a data base, a generator. Several threads read at
/// once, and each sample is read once per epoch.
///
/// # Example
/// ```
/// use kiln::data::{DataError, Dataset, Labels, Source};
/// use kiln::graph::Shape;
///
/// /// Sample `i` is all `i`.
/// #[derive(Debug)]
/// struct Numbers;
///
/// impl Source for Numbers {
///     fn len(&self) -> usize {
///         3
///     }
///
///     fn sample_shape(&self) -> Shape {
///         [2, 2, 1].into()
///     }
///
///     fn read(&self, index: usize, place: &mut [u8]) -> Result<(), DataError> {
///         place.fill(index as u8);
///         Ok(())
///     }
/// }
///
/// let data = Dataset::streamed(Numbers, Labels::index(vec![0, 1, 0], 2))?;
/// assert_eq!(data.len(), 3);
/// # Ok::<(), DataError>(())
/// ```
pub trait Source: fmt::Debug + Send + Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of each sample.
    fn sample_shape(&self) -> Shape;

    /// Puts the bytes of the sample of this number into `place`, which has as many as the shape has elements. It must
    /// give the same bytes each time.
    ///
    /// # Errors
    /// What ends the training, evaluation or prediction that needs the sample.
    fn read(&self, index: usize, place: &mut [u8]) -> Result<(), DataError>;
}

/// The samples of a source, from one of them on.
#[derive(Clone)]
pub struct Streamed {
    source: Arc<dyn Source>,
    first: usize,
}

impl Streamed {
    pub(super) fn new(source: impl Source + 'static) -> Streamed {
        Streamed { source: Arc::new(source), first: 0 }
    }

    pub(super) fn from(&self, sample: usize) -> Streamed {
        Streamed { source: self.source.clone(), first: self.first + sample }
    }

    /// The samples as another source makes them of this one.
    pub(super) fn map<S: Source + 'static>(&self, to: impl FnOnce(Arc<dyn Source>) -> S) -> Streamed {
        Streamed { source: Arc::new(to(self.source.clone())), first: self.first }
    }

    /// Reads these samples on all cores.
    pub(super) fn gather(&self, order: &[u32], elements: usize) -> Result<Vec<u8>, DataError> {
        let count = order.len().saturating_mul(elements);
        let mut bytes = memory::zeroed(count).map_err(|_| no_memory(order.len(), count))?;
        let places = bytes.par_chunks_exact_mut(elements).zip(order);
        places.try_for_each(|(place, &sample)| self.source.read(self.first + sample as usize, place))?;
        Ok(bytes)
    }
}

impl PartialEq for Streamed {
    /// The same source, from the same sample on.
    fn eq(&self, other: &Streamed) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.first == other.first
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streamed({:?} from {})", self.source, self.first)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::data::{Dataset, Labels, Values};

    /// Sample `i` is `[i, 2 i]`; there is no fourth.
    #[derive(Debug)]
    struct Pairs;

    impl Source for Pairs {
        fn len(&self) -> usize {
            5
        }

        fn sample_shape(&self) -> Shape {
            [2].into()
        }

        fn read(&self, index: usize, place: &mut [u8]) -> Result<(), DataError> {
            place.copy_from_slice(&[index as u8, 2 * index as u8]);
            if index < 4 { Ok(()) } else { Err(DataError::NoFolder) }
        }
    }

    fn pairs() -> Dataset {
        Dataset::streamed(Pairs, Labels::index(vec![0, 1, 2, 0, 1], 3)).unwrap()
    }

    #[test]
    fn samples_are_read_in_the_order_that_is_asked_for() {
        let data = pairs();
        assert_eq!((data.len(), data.scale()), (5, 1.0 / 255.0));
        assert_eq!(data.values().gather(&[2, 0, 2], 2).unwrap(), [2, 4, 0, 0, 2, 4]);
    }

    #[test]
    fn a_range_is_a_range_of_the_source() {
        let data = pairs().range(1..5).range(1..3);
        assert_eq!(data.labels(), &Labels::index(vec![2, 0], 3));
        assert_eq!(data.in_memory().unwrap().values(), &Values::U8([2, 4, 3, 6].into()));
        assert_eq!(pairs().head(0).in_memory().unwrap().len(), 0);
    }

    #[test]
    fn what_the_source_says_is_the_error() {
        assert!(matches!(pairs().in_memory(), Err(DataError::NoFolder)));
        assert!(Dataset::streamed(Pairs, Labels::index(vec![0], 1)).is_err());
    }
}
