//! Streamed data sets: one chunk is on the device, and a thread reads the next while the device computes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use futures::channel::mpsc::{Receiver, channel};
use futures::{SinkExt, StreamExt};
use kiln_graph::{TensorType, block_on};

use super::data_type::DataType;
use crate::Result;
use crate::data::{DataError, Dataset, Input};

/// The maximum size of a streamed data set's samples on the device, in bytes, unless a few samples are larger.
const DEVICE_BYTES: u64 = 128 << 20;

/// The approximate size of a read, in bytes, unless a batch is larger.
const CHUNK_BYTES: u64 = 32 << 20;

/// The minimum number of samples on the device, within its binding limit: a batch should fit.
const DEVICE_SAMPLES: u64 = 128;

/// The number of samples of a data set on a device at a time. `one` is the type of one sample.
pub(super) fn capacity(data: &Dataset, one: &DataType, limit: u64) -> usize {
    let samples = data.len();
    let inputs = one.inputs.iter().map(|input| input.x.bytes());
    let sample = inputs.chain(one.targets.iter().map(TensorType::bytes)).max().unwrap_or(0).max(1);
    let fit = |bytes: u64| (bytes / sample) as usize;
    let some = DEVICE_BYTES.max(sample.saturating_mul(DEVICE_SAMPLES));
    let all = if fit(limit) >= samples { samples } else { fit(limit.min(some)).max(1) };
    data.chunk().map_or(all, |chunk| chunk.min(samples))
}

/// Reads a data set chunk by chunk in an epoch's order.
pub(super) struct Reader {
    data: Dataset,
    order: Vec<u32>,
    /// The chunk size in samples, a whole number of batches.
    chunk: usize,
}

impl Reader {
    /// Reads as much at a time as fits the device, up to about [`CHUNK_BYTES`].
    pub fn new(data: Dataset, order: Vec<u32>, capacity: usize, batch: usize) -> Reader {
        let bytes = |input: &Input| input.sample_shape.elements() as u64 * input.dtype().bytes();
        let sample = data.inputs().iter().map(bytes).sum::<u64>().max(1);
        let chunk = ((CHUNK_BYTES / sample) as usize).max(batch).min(capacity);
        Reader { data, order, chunk: chunk / batch * batch }
    }

    /// The first chunk, in memory.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn first(&self) -> Result<Dataset> {
        Ok(self.read(&self.order[..self.chunk.min(self.order.len())])?)
    }

    /// All chunks, read by a thread one at a time while the device computes on the previous one.
    pub fn start(self) -> Chunks {
        // Rendezvous channel: a chunk is sent on receipt, so the thread only holds the next one.
        let (mut sender, receiver) = channel(0);
        let thread = std::thread::spawn(move || {
            for order in self.order.chunks(self.chunk) {
                let chunk = self.read(order);
                let failed = chunk.is_err();
                if block_on(sender.send(chunk)).is_err() || failed || sender.is_closed() {
                    return;
                }
            }
        });
        Chunks::Read { receiver, thread: Some(thread) }
    }

    fn read(&self, order: &[u32]) -> std::result::Result<Dataset, DataError> {
        self.data.take(order)?.in_memory()
    }
}

/// The consecutive parts of a data set, each in memory.
#[derive(Debug)]
pub(super) enum Chunks {
    /// Parts read by a thread, which ends with the receiver, after the part that it is reading.
    Read { receiver: Receiver<std::result::Result<Dataset, DataError>>, thread: Option<JoinHandle<()>> },
    /// Parts of a data set in memory, in its order.
    Views { data: Box<Dataset>, next: usize, chunk: usize },
}

impl Chunks {
    /// A data set in its own order, this many samples at a time. A thread reads streamed ones, if it is worthwhile.
    pub fn of(data: &Dataset, chunk: usize) -> Chunks {
        if data.is_streamed() && data.len() > chunk {
            let order = (0..data.len() as u32).collect();
            return Reader { data: data.clone(), order, chunk }.start();
        }
        Chunks::Views { data: Box::new(data.clone()), next: 0, chunk }
    }

    /// The next chunk, once it is read; none after the last.
    ///
    /// # Errors
    /// If the data cannot be read.
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
                if let Some(chunk) = ready!(receiver.poll_next_unpin(task)) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::super::Role;
    use super::*;
    use crate::data::Labels;

    /// A data set of samples of 1000 bytes.
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
        assert_eq!(chunk(100_000, 128), 33_536, "at most about 32 MiB");
        assert_eq!(chunk(100_000, 60_000), 60_000);
    }
}
