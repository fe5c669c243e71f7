//! Data sets that lie on the device.

use std::borrow::Cow;
use std::sync::Arc;

use kiln_graph::{Buffers, DeviceBuffer, READ_PAST, TensorType};

use super::stream::{self, Reader};
use crate::augmentation::Standardization;
use crate::data::{Dataset, Values};
use crate::{Device, Error, Result, memory};

/// What a data set on the device is for. Each has buffers of its own, so that training and validation alternate
/// without an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Train,
    /// Validation, evaluation and prediction.
    Test,
}

impl Role {
    /// The name of the buffer that holds a part of the data set: `x`, `y` or `order`.
    pub fn buffer(self, part: &str) -> String {
        match self {
            Role::Train => format!("train.{part}"),
            Role::Test => format!("test.{part}"),
        }
    }
}

/// A data set on the device: all of it or, one after the other, chunks of it.
#[derive(Debug)]
pub(crate) struct Resident {
    data: Dataset,
    pub samples: usize,
    /// How many samples lie on the device at a time.
    pub capacity: usize,
    /// `[capacity, …]`
    pub x: TensorType,
    /// `[capacity]` or `[capacity, classes]`
    pub y: TensorType,
    pub scale: f32,
    pub offset: f32,
    /// The epoch's order, where chunks of it are put on the device.
    order: Vec<u32>,
}

impl Resident {
    /// Whether these very values lie on the device: the same memory, not only equal values.
    pub fn holds(&self, other: &Dataset) -> bool {
        let rule = (self.scale, self.offset) == (other.scale(), other.offset());
        let rule = rule && self.data.sample_weights() == other.sample_weights();
        let rule = rule && self.data.standardization() == other.standardization();
        let place = self.data.sample_shape() == other.sample_shape() && self.data.chunk() == other.chunk();
        let same = self.data.values().is(other.values()) && self.data.labels().is(other.labels());
        same && rule && place && self.samples == other.len()
    }

    /// Whether its samples have weights.
    pub fn is_weighted(&self) -> bool {
        self.data.sample_weights().is_some()
    }

    /// What becomes of its values after they were scaled.
    pub fn standardization(&self) -> &Standardization {
        self.data.standardization()
    }

    /// Copies a data set to new buffers of the device, in the order in which it is; or makes buffers for chunks of it.
    ///
    /// # Errors
    /// When a chunk is larger than what the device lets a kernel see at once, memory runs out or the data cannot be
    /// read.
    pub fn upload(data: &Dataset, role: Role, device: &Device, buffers: &mut Buffers) -> Result<Resident> {
        let types = |samples: usize| {
            let x = TensorType::new(data.sample_shape().batched(samples), data.values().dtype());
            (x, data.labels().ty(samples))
        };
        let limit = device.info().limits.max_binding_bytes;
        // A copy of what lies in memory, or all that is streamed, may take half of the memory.
        let room = memory::free_on(device).map_or(limit, |free| limit.min(free / 2));
        let capacity = stream::capacity(data, types(1), room);
        let (x, y) = types(capacity);
        for ty in [&x, &y] {
            if ty.bytes() > limit {
                let expected = format!("at most {limit} bytes, which is what {} binds at once", device.info().name);
                return Err(Error::Argument { name: "data", expected, found: format!("{} bytes", ty.bytes()) });
            }
        }
        let (samples, scale, offset) = (data.len(), data.scale(), data.offset());
        let order: Vec<u32> = (0..samples as u32).collect();
        write_new(&role.buffer("order"), bytemuck::cast_slice(&order[..capacity]), device, buffers)?;
        if capacity == samples {
            let values = match data.values() {
                Values::U8(values) => Cow::from(&values[..]),
                Values::F32(values) => Cow::from(bytemuck::cast_slice(values)),
                streamed => Cow::from(streamed.gather(&order, data.sample_shape().elements())?),
            };
            write_new(&role.buffer("x"), &values, device, buffers)?;
            write_new(&role.buffer("y"), &data.labels().gather(&order)?, device, buffers)?;
            if let Some(weights) = data.sample_weights() {
                write_new(&role.buffer("weights"), bytemuck::cast_slice(weights), device, buffers)?;
            }
        } else {
            for (part, ty) in [("x", &x), ("y", &y), ("weights", &TensorType::f32([capacity]))] {
                new(&role.buffer(part), ty.bytes(), device, buffers)?;
            }
        }
        data.standardization().upload(role, device, buffers)?;
        Ok(Resident { data: data.clone(), samples, capacity, x, y, scale, offset, order })
    }

    /// Sets the order in which the samples are taken.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn set_order(&mut self, role: Role, order: &[u32], buffers: &Buffers) -> Result<()> {
        match buffers.get(&role.buffer("order")) {
            Some(buffer) if self.capacity == self.samples => Ok(buffer.write(0, bytemuck::cast_slice(order))?),
            _ => {
                self.order = order.to_vec();
                Ok(())
            }
        }
    }

    /// Who reads the chunks of a pass with batches of this size, if all does not lie on the device.
    ///
    /// # Errors
    /// When a batch is larger than what lies there at a time.
    pub(super) fn reader(&self, batch: usize) -> Result<Option<Reader>> {
        if self.capacity == self.samples {
            return Ok(None);
        }
        if batch > self.capacity {
            let expected = format!("at most {}, as many samples as lie on the device at a time", self.capacity);
            return Err(Error::Argument { name: "batch_size", expected, found: batch.to_string() });
        }
        Ok(Some(Reader::new(self.data.clone(), self.order.clone(), self.capacity, batch)))
    }
}

/// Makes a buffer of at least so many bytes, in place of the one that has this name, if there is one.
fn new(name: &str, bytes: u64, device: &Device, buffers: &mut Buffers) -> Result<Arc<dyn DeviceBuffer>> {
    let buffer = device.as_dyn().allocate(name, bytes.next_multiple_of(16) + READ_PAST)?;
    buffers.insert(name, buffer.clone());
    Ok(buffer)
}

/// Makes a buffer with these bytes, in place of the one that has this name, if there is one.
///
/// # Errors
/// When memory runs out or the device is lost.
pub(crate) fn write_new(name: &str, bytes: &[u8], device: &Device, buffers: &mut Buffers) -> Result<()> {
    write(new(name, bytes.len() as u64, device, buffers)?.as_ref(), bytes)
}

/// Writes bytes to the start of a buffer, and up to 3 zeros behind them.
///
/// # Errors
/// When the device is lost.
pub(super) fn write(buffer: &dyn DeviceBuffer, bytes: &[u8]) -> Result<()> {
    let (words, rest) = bytes.split_at(bytes.len() / 4 * 4);
    buffer.write(0, words)?;
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        buffer.write(words.len() as u64, &last)?;
    }
    Ok(())
}
