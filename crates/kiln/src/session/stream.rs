//! Data sets of which only a chunk is on the device: a thread reads the next while the device computes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use futures::channel::mpsc::{Receiver, channel};
use futures::{SinkExt, StreamExt};
use kiln_graph::{TensorType, block_on};

use super::data_type::DataType;
use crate::Result;
use crate::data::{DataError, Dataset};

/// The most bytes that the samples of a data set that is streamed take on the device, unless few samples take more.
const DEVICE_BYTES: u64 = 128 << 20;

/// About how many bytes are read at a time, unless a batch is larger.
const CHUNK_BYTES: u64 = 32 << 20;

/// So many samples are on the device in any case, if it can bind them: a batch should fit.
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

/// Reads a data set chunk by chunk in an epoch's order.
pub(super) struct Reader {
    data: Dataset,
    order: Vec<u32>,
    /// Samples, a whole number of batches.
    chunk: usize,
}

impl Reader {
    /// Reads as much at a time as may be on the device and is not much more than [`CHUNK_BYTES`].
    pub fn new(data: Dataset, order: Vec<u32>, capacity: usize, batch: usize) -> Reader {
        let sample = (data.sample_shape().elements() as u64 * data.dtype().bytes()).max(1);
        let chunk = ((CHUNK_BYTES / sample) as usize).max(batch).min(capacity);
        Reader { data, order, chunk: chunk / batch * batch }
    }

    /// The first chunk, in memory.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn first(&self) -> Result<Dataset> {
        Ok(self.read(&self.order[..self.chunk.min(self.order.len())])?)
    }

    /// All chunks, which a thread reads: one at a time, while the device computes on the one before.
    pub fn start(self) -> Chunks {
        // With room for one: a chunk is sent when it is taken, so the thread holds the next one and no other.
        let (mut sender, receiver) = channel(0);
        let thread = std::thread::spawn(move || {
            for order in self.order.chunks(self.chunk) {
                let chunk = self.read(order);
                let failed = chunk.is_err();
                if block_on(sender.send(chunk)).is_err() || failed {
                    return;
                }
            }
        });
        Chunks::Read { receiver: Some(receiver), thread: Some(thread) }
    }

    fn read(&self, order: &[u32]) -> std::result::Result<Dataset, DataError> {
        self.data.take(order)?.in_memory()
    }
}

/// The parts of a data set, one after the other, each in memory.
#[derive(Debug)]
pub(super) enum Chunks {
    /// Parts that a thread reads.
    Read { receiver: Option<Receiver<std::result::Result<Dataset, DataError>>>, thread: Option<JoinHandle<()>> },
    /// Parts of a data set in memory, in its order.
    Views { data: Dataset, next: usize, chunk: usize },
}

impl Chunks {
    /// A data set in its order, so many samples at a time. A thread reads those that are streamed, if it is worth one.
    pub fn of(data: &Dataset, chunk: usize) -> Chunks {
        if data.is_streamed() && data.len() > chunk {
            let order = (0..data.len() as u32).collect();
            return Reader { data: data.clone(), order, chunk }.start();
        }
        Chunks::Views { data: data.clone(), next: 0, chunk }
    }

    /// The next chunk, if there is one, once it is read.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub async fn next(&mut self) -> Result<Option<Dataset>> {
        poll_fn(|task| self.poll(task)).await
    }

    /// As [`Chunks::next`].
    ///
    /// # Errors
    /// As [`Chunks::next`].
    pub fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Dataset>>> {
        Poll::Ready(match self {
            Chunks::Read { receiver, thread } => {
                let chunk = match receiver {
                    Some(receiver) => ready!(receiver.poll_next_unpin(task)),
                    None => None,
                };
                if let Some(chunk) = chunk {
                    return Poll::Ready(Ok(Some(chunk?)));
                }
                if let Some(Err(panic)) = thread.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                Ok(None)
            }
            Chunks::Views { data, next, chunk } => {
                let part = data.range(*next..*next + *chunk);
                *next += part.len();
                Ok(if part.is_empty() { None } else { Some(part.in_memory()?) })
            }
        })
    }
}

impl Drop for Chunks {
    /// Ends the thread: nothing is read of a data set that nobody waits for.
    fn drop(&mut self) {
        if let Chunks::Read { receiver, thread } = self {
            *receiver = None;
            // A panic was of a sample that is not wanted any more.
            drop(thread.take().map(JoinHandle::join));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::super::Role;
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
