//! Data sets of which only a chunk lies on the device: a thread reads the next while the device computes.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use kiln_graph::{Buffers, TensorType};

use super::{Role, resident};
use crate::Result;
use crate::data::{DataError, Dataset, rows};

/// The most bytes that the samples of a data set that is streamed take on the device, unless few samples take more.
const DEVICE_BYTES: u64 = 128 << 20;

/// About how many bytes are read at a time, unless a batch is larger.
const CHUNK_BYTES: u64 = 32 << 20;

/// So many samples lie on the device in any case, if it can bind them: a batch should fit.
const DEVICE_SAMPLES: u64 = 128;

/// How many samples of a data set lie on a device at a time. `x` and `y` are the types of one.
pub(super) fn capacity(data: &Dataset, (x, y): (TensorType, TensorType), limit: u64) -> usize {
    let samples = data.len();
    let sample = x.bytes().max(y.bytes()).max(1);
    let fit = |bytes: u64| (bytes / sample) as usize;
    let some = DEVICE_BYTES.max(sample.saturating_mul(DEVICE_SAMPLES));
    let all = if fit(limit) >= samples { samples } else { fit(limit.min(some)).max(1) };
    data.chunk().map_or(all, |chunk| chunk.min(samples))
}

/// Some samples in the order of the epoch, as they lie on the device.
pub(super) struct Chunk {
    pub samples: usize,
    x: Vec<u8>,
    y: Vec<u8>,
    /// Empty if all samples count the same.
    weights: Vec<u8>,
}

impl Chunk {
    /// Copies the chunk to the device. What was submitted before still sees the one before.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn write(&self, role: Role, buffers: &Buffers) -> Result<()> {
        for (part, bytes) in [("x", &self.x), ("y", &self.y), ("weights", &self.weights)] {
            if let Some(buffer) = buffers.get(&role.buffer(part)) {
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
        let sample = data.sample_shape().elements() as u64 * data.values().dtype().bytes();
        let chunk = ((CHUNK_BYTES / sample) as usize).max(batch).min(capacity);
        Reader { data, order, chunk: chunk / batch * batch }
    }

    /// The first chunk.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn first(&self) -> Result<Chunk> {
        Ok(self.read(&self.order[..self.chunk.min(self.order.len())])?)
    }

    /// Hands over all chunks, in order, until `take` breaks. While it works on one, a thread reads the next.
    ///
    /// # Errors
    /// What `take` gives, and when the data cannot be read.
    pub fn each(&self, mut take: impl FnMut(&Chunk) -> Result<ControlFlow<()>>) -> Result<()> {
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

    fn read(&self, order: &[u32]) -> std::result::Result<Chunk, DataError> {
        let x = self.data.values().gather(order, self.data.sample_shape().elements())?;
        let weights = self.data.sample_weights().map(|weights| rows(weights, order, 1)).transpose()?;
        let y = self.data.labels().gather(order)?;
        Ok(Chunk { samples: order.len(), x, y, weights: weights.unwrap_or_default() })
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
        let x = TensorType::new(data.sample_shape().batched(1), data.values().dtype());
        capacity(data, (x, data.labels().ty(1)), limit)
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
