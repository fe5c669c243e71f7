//! Data sets of which only a chunk is on the device: a thread reads the next while the device computes.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::sync_channel;

use kiln_graph::{Buffers, TensorType};

use super::Role;
use super::resident::{self, DataType};
use crate::Result;
use crate::data::{DataError, Dataset, Labels, Shared};

/// The most bytes that the samples of a data set that is streamed take on the device, unless few samples take more.
const DEVICE_BYTES: u64 = 128 << 20;

/// About how many bytes are read at a time, unless a batch is larger.
const CHUNK_BYTES: u64 = 32 << 20;

/// So many samples lie on the device in any case, if it can bind them: a batch should fit.
const DEVICE_SAMPLES: u64 = 128;

/// How many samples of a data set a device holds at a time. `one` is the type of one sample.
pub(super) fn capacity(data: &Dataset, one: &DataType, limit: u64) -> usize {
    let samples = data.len();
    let sample = one.x.bytes().max(one.y.as_ref().map_or(0, TensorType::bytes)).max(1);
    let fit = |bytes: u64| (bytes / sample) as usize;
    let some = DEVICE_BYTES.max(sample.saturating_mul(DEVICE_SAMPLES));
    let all = if fit(limit) >= samples { samples } else { fit(limit.min(some)).max(1) };
    data.chunk().map_or(all, |chunk| chunk.min(samples))
}

/// Some samples of a data set, to be put on the device.
pub(super) struct Chunk<'a> {
    pub samples: usize,
    x: Cow<'a, [u8]>,
    y: Option<Labels>,
    weights: Option<Shared<f32>>,
}

impl Chunk<'_> {
    /// A range of samples.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn of(data: &Dataset, range: Range<usize>) -> std::result::Result<Chunk<'_>, DataError> {
        let part = data.range(range.clone());
        let (y, weights) = (part.labels().cloned(), part.sample_weights().cloned());
        Ok(Chunk { samples: range.len(), x: data.slice(range)?, y, weights })
    }

    /// Copies the chunk to the device, into the buffers that are there. Steps that were submitted before still see the
    /// chunk before.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn write(&self, role: Role, buffers: &Buffers) -> Result<()> {
        let y = self.y.as_ref().map(Labels::bytes);
        let weights = self.weights.as_ref().map(|weights| bytemuck::cast_slice::<f32, u8>(weights));
        for (part, bytes) in [("x", Some(&self.x[..])), ("y", y), ("weights", weights)] {
            if let (Some(buffer), Some(bytes)) = (buffers.get(&role.buffer(part)), bytes) {
                resident::write(buffer.as_ref(), bytes)?;
            }
        }
        Ok(())
    }
}

/// Reads a data set chunk by chunk in an epoch's order.
pub(super) struct Reader {
    data: Dataset,
    order: Vec<u32>,
    /// Samples, a whole number of batches.
    chunk: usize,
}

impl Reader {
    /// Reads as much at a time as may lie on the device and is not much more than [`CHUNK_BYTES`].
    pub fn new(data: Dataset, order: Vec<u32>, capacity: usize, batch: usize) -> Reader {
        let sample = (data.sample_shape().elements() as u64 * data.dtype().bytes()).max(1);
        let chunk = ((CHUNK_BYTES / sample) as usize).max(batch).min(capacity);
        Reader { data, order, chunk: chunk / batch * batch }
    }

    /// The first chunk.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn first(&self) -> Result<Chunk<'static>> {
        Ok(self.read(&self.order[..self.chunk.min(self.order.len())])?)
    }

    /// Hands over all chunks, in order, until `take` breaks. While it works on one, a thread reads the next.
    ///
    /// # Errors
    /// What `take` gives, and when the data cannot be read.
    pub fn each(&self, mut take: impl FnMut(&Chunk<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        std::thread::scope(|scope| {
            // Without room: the thread holds the next chunk, and no other, until this one is done.
            let (sender, receiver) = sync_channel(0);
            scope.spawn(move || {
                for order in self.order.chunks(self.chunk) {
                    let chunk = self.read(order);
                    let failed = chunk.is_err();
                    if sender.send(chunk).is_err() || failed {
                        return;
                    }
                }
            });
            for chunk in receiver {
                if take(&chunk?)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn read(&self, order: &[u32]) -> std::result::Result<Chunk<'static>, DataError> {
        let part = self.data.take(order)?;
        let (y, weights) = (part.labels().cloned(), part.sample_weights().cloned());
        Ok(Chunk { samples: order.len(), x: Cow::Owned(self.data.gather(order)?), y, weights })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::data::Labels;

    /// So many samples of 1000 bytes.
    fn data(samples: usize) -> Dataset {
        Dataset::from_u8([1000], vec![0; samples * 1000], Labels::index(vec![0; samples], 1)).unwrap()
    }

    fn capacity_of(data: &Dataset, limit: u64) -> usize {
        capacity(data, &DataType::of(data, Role::Train, 1), limit)
    }

    #[test]
    fn as_much_lies_on_the_device_as_it_binds_at_once() {
        assert_eq!(capacity_of(&data(50), 50_000), 50);
        assert_eq!(capacity_of(&data(50), 49_999), 49);
        assert_eq!(capacity_of(&data(50), 10), 1);
        assert_eq!(capacity_of(&data(50).in_chunks(7), 50_000), 7);
        assert_eq!(capacity_of(&data(50).in_chunks(70), 50_000), 50);
    }

    #[test]
    fn a_chunk_is_a_whole_number_of_batches() {
        let chunk = |capacity, batch| Reader::new(data(1), vec![0], capacity, batch).chunk;
        assert_eq!(chunk(10, 3), 9);
        assert_eq!(chunk(10, 10), 10);
        assert_eq!(chunk(100_000, 128), 33_536, "no more than about 32 MiB");
        assert_eq!(chunk(100_000, 60_000), 60_000);
    }
}
