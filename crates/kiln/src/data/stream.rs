//! Samples read on demand, for data sets larger than memory.

use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;
use kiln_graph::{DType, Shape};
use rayon::prelude::*;

use self::sealed::{AnySource, Sealed};
use super::rows::no_memory;
use super::{DataError, Values};
use crate::memory;

/// A source of samples read on demand: files, a database, a generator. Several threads read concurrently, and each
/// sample is read once per epoch.
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
///     type Value = f32;
///
///     fn len(&self) -> usize {
///         3
///     }
///
///     fn sample_shape(&self) -> Shape {
///         [2, 2, 1].into()
///     }
///
///     fn read(&self, index: usize, place: &mut [f32]) -> Result<(), DataError> {
///         place.fill(index as f32);
///         Ok(())
///     }
/// }
///
/// let data = Dataset::streamed(Numbers, Labels::index(vec![0, 1, 0], 2))?;
/// assert_eq!(data.len(), 3);
/// # Ok::<(), DataError>(())
/// ```
pub trait Source: fmt::Debug + Send + Sync {
    /// The type of a value: `u8`, which needs a quarter of the memory, or `f32`.
    type Value: SampleValue;

    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of each sample.
    fn sample_shape(&self) -> Shape;

    /// Writes the values of the sample with this index to `place`, of the shape's number of elements. Each call must
    /// write the same values.
    ///
    /// # Errors
    /// An error stops the training, evaluation or prediction that needs the sample.
    fn read(&self, index: usize, place: &mut [Self::Value]) -> Result<(), DataError>;
}

/// The types of sample values: `u8` or `f32`.
pub trait SampleValue: Pod + Default + fmt::Debug + Send + Sync + sealed::Sealed {}

impl SampleValue for u8 {}
impl SampleValue for f32 {}

pub(super) mod sealed {
    use std::sync::Arc;

    use super::Source;

    /// A source of any value type.
    #[derive(Clone, Debug)]
    pub enum AnySource {
        U8(Arc<dyn Source<Value = u8>>),
        F32(Arc<dyn Source<Value = f32>>),
    }

    /// Prevents other implementations.
    pub trait Sealed: Sized {
        #[doc(hidden)]
        fn any(source: Arc<dyn Source<Value = Self>>) -> AnySource;
    }

    impl Sealed for u8 {
        fn any(source: Arc<dyn Source<Value = u8>>) -> AnySource {
            AnySource::U8(source)
        }
    }

    impl Sealed for f32 {
        fn any(source: Arc<dyn Source<Value = f32>>) -> AnySource {
            AnySource::F32(source)
        }
    }
}

/// The samples of a source, from a first one on.
#[derive(Clone)]
pub(super) struct Streamed {
    source: AnySource,
    first: usize,
}

impl Streamed {
    pub fn new<S: Source + 'static>(source: S) -> Streamed {
        Streamed { source: S::Value::any(Arc::new(source)), first: 0 }
    }

    /// The samples from this one on.
    pub fn from(&self, sample: usize) -> Streamed {
        Streamed { source: self.source.clone(), first: self.first + sample }
    }

    /// The element type of the samples.
    pub fn dtype(&self) -> DType {
        match self.source {
            AnySource::U8(_) => DType::U8,
            AnySource::F32(_) => DType::F32,
        }
    }

    /// Transforms the values of each sample after reading.
    pub fn map(&self, bytes: fn(&mut [u8]), floats: fn(&mut [f32])) -> Streamed {
        let source = match self.source.clone() {
            AnySource::U8(source) => AnySource::U8(Arc::new(Changed { source, change: bytes })),
            AnySource::F32(source) => AnySource::F32(Arc::new(Changed { source, change: floats })),
        };
        Streamed { source, first: self.first }
    }

    /// Whether both are the same samples of the same source.
    pub fn is(&self, other: &Streamed) -> bool {
        let same_source = match (&self.source, &other.source) {
            (AnySource::U8(a), AnySource::U8(b)) => Arc::ptr_eq(a, b),
            (AnySource::F32(a), AnySource::F32(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        same_source && self.first == other.first
    }

    /// Reads the samples with these indices, each of `elements` values, on all cores.
    pub fn values(&self, order: &[u32], elements: usize) -> Result<Values, DataError> {
        Ok(match &self.source {
            AnySource::U8(source) => Values::U8(self.read(source.as_ref(), order, elements)?.into()),
            AnySource::F32(source) => Values::F32(self.read(source.as_ref(), order, elements)?.into()),
        })
    }

    /// As [`Streamed::values`], as bytes for a device.
    pub fn gather(&self, order: &[u32], elements: usize) -> Result<Vec<u8>, DataError> {
        match &self.source {
            AnySource::U8(source) => self.read(source.as_ref(), order, elements),
            AnySource::F32(source) => {
                let values = self.read(source.as_ref(), order, elements)?;
                Ok(bytemuck::cast_slice(&values).to_vec())
            }
        }
    }

    fn read<T: SampleValue>(
        &self,
        source: &dyn Source<Value = T>,
        order: &[u32],
        elements: usize,
    ) -> Result<Vec<T>, DataError> {
        let count = order.len().saturating_mul(elements);
        let mut values = memory::zeroed(count).map_err(|_| no_memory(order.len(), count * size_of::<T>()))?;
        let places = values.par_chunks_exact_mut(elements).zip(order);
        places.try_for_each(|(place, &sample)| source.read(self.first + sample as usize, place))?;
        Ok(values)
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streamed({:?} from {})", self.source, self.first)
    }
}

/// A source whose samples are transformed after reading.
#[derive(Debug)]
struct Changed<T> {
    source: Arc<dyn Source<Value = T>>,
    change: fn(&mut [T]),
}

impl<T: SampleValue> Source for Changed<T> {
    type Value = T;

    fn len(&self) -> usize {
        self.source.len()
    }

    fn sample_shape(&self) -> Shape {
        self.source.sample_shape()
    }

    fn read(&self, index: usize, place: &mut [T]) -> Result<(), DataError> {
        self.source.read(index, place)?;
        (self.change)(place);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::data::{Dataset, Labels};

    /// Sample `i` is `[i, 2 i]`; there is no fourth.
    #[derive(Debug)]
    struct Pairs;

    impl Source for Pairs {
        type Value = u8;

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

    /// Sample `i` is `i / 2`.
    #[derive(Debug)]
    struct Halves;

    impl Source for Halves {
        type Value = f32;

        fn len(&self) -> usize {
            4
        }

        fn sample_shape(&self) -> Shape {
            [1].into()
        }

        fn read(&self, index: usize, place: &mut [f32]) -> Result<(), DataError> {
            place[0] = index as f32 / 2.0;
            Ok(())
        }
    }

    fn pairs() -> Dataset {
        Dataset::streamed(Pairs, Labels::index(vec![0, 1, 2, 0, 1], 3)).unwrap()
    }

    #[test]
    fn samples_are_read_in_the_order_that_is_asked_for() {
        let data = pairs();
        assert_eq!((data.len(), data.scale()), (5, 1.0 / 255.0));
        assert_eq!(data.take(&[2, 0, 2]).unwrap().values().unwrap(), Values::U8([2, 4, 0, 0, 2, 4].into()));
        assert_eq!(data.take(&[2, 0]).unwrap().inputs()[0].slice(0..2).unwrap()[..], [2, 4, 0, 0]);
    }

    #[test]
    fn floats_are_read_as_they_are() {
        let data = Dataset::streamed(Halves, None).unwrap();
        assert_eq!((data.len(), data.scale(), data.dtype()), (4, 1.0, DType::F32));
        assert_eq!(data.take(&[3, 1]).unwrap().values().unwrap(), Values::F32([1.5, 0.5].into()));
    }

    #[test]
    fn a_range_is_a_range_of_the_source() {
        let data = pairs().range(1..5).range(1..3);
        assert_eq!(data.labels(), Some(&Labels::index(vec![2, 0], 3)));
        assert_eq!(data.values().unwrap(), Values::U8([2, 4, 3, 6].into()));
        assert_eq!(pairs().head(0).in_memory().unwrap().len(), 0);
    }

    #[test]
    fn an_error_of_the_source_is_the_error() {
        assert!(matches!(pairs().in_memory(), Err(DataError::NoFolder)));
        assert!(Dataset::streamed(Pairs, Labels::index(vec![0], 1)).is_err());
    }
}
