//! Data sets on the device.

use std::sync::Arc;

use kiln_graph::{Buffers, DeviceBuffer, READ_PAST, TensorType};

use super::data_type::DataType;
use super::names::{Part, Persistent, Role};
use super::stream::{self, Reader};
use crate::data::{Dataset, Standardization};
use crate::{Device, Error, Result, memory};

/// A data set on the device: all of it or, one after the other, chunks of it.
#[derive(Debug)]
pub(crate) struct Resident {
    pub data: Dataset,
    pub ty: DataType,
    /// Whether all samples are on the device.
    whole: bool,
    /// The epoch's order, if streamed in chunks.
    order: Vec<u32>,
}

impl Resident {
    /// Whether this same data set is on the device.
    pub fn holds(&self, other: &Dataset) -> bool {
        self.data.is(other)
    }

    /// The number of samples of the data set.
    pub fn samples(&self) -> usize {
        self.data.len()
    }

    /// Copies a data set to new buffers of the device in its own order, or creates buffers for chunks of it.
    ///
    /// # Errors
    /// If a chunk exceeds the device's binding limit, memory runs out or the data cannot be
    /// read.
    pub fn upload(data: &Dataset, role: Role, device: &Device, buffers: &mut Buffers) -> Result<Resident> {
        let limit = device.info().limits.max_binding_bytes;
        // A copy of data in memory, or everything streamed, may use half of the memory.
        let room = memory::free_on(device).map_or(limit, |free| limit.min(free / 2));
        let capacity = stream::capacity(data, &DataType::of(data, role, 1), room);
        let mut resident = Resident::allocate(data, role, capacity, device, buffers)?;
        resident.whole = capacity == data.len();
        resident.replace(data, role, buffers)?;
        Ok(resident)
    }

    /// Creates buffers for `capacity` samples of a data set, to be filled with chunks of it.
    ///
    /// # Errors
    /// If that exceeds the device's binding limit, memory runs out or the device is lost.
    pub fn allocate(
        data: &Dataset,
        role: Role,
        capacity: usize,
        device: &Device,
        buffers: &mut Buffers,
    ) -> Result<Resident> {
        let ty = DataType::of(data, role, capacity);
        let weights = TensorType::f32([capacity]);
        let limit = device.info().limits.max_binding_bytes;
        let inputs = ty.inputs.iter().enumerate().map(|(index, input)| (Part::X(index), input.x.bytes()));
        let targets = ty.targets.iter().enumerate().map(|(index, ty)| (Part::Y(index), ty.bytes()));
        let weighted = ty.weights.iter().enumerate().filter(|(_, is_weighted)| **is_weighted);
        let weights = weighted.map(|(index, _)| (Part::Weights(index), weights.bytes()));
        for (part, bytes) in inputs.chain(targets).chain(weights) {
            if bytes > limit {
                let expected = format!("at most {limit} bytes, the binding limit of {}", device.info().name);
                return Err(Error::Argument { name: "data", expected, found: format!("{bytes} bytes") });
            }
            new(Persistent::Data(role, part), bytes, device, buffers)?;
        }
        let order: Vec<u32> = (0..capacity as u32).collect();
        write_new(Persistent::Data(role, Part::Order), bytemuck::cast_slice(&order), device, buffers)?;
        for (index, input) in ty.inputs.iter().enumerate() {
            upload_features((index, &input.standardization), role, device, buffers)?;
        }
        Ok(Resident { data: data.clone(), ty, whole: false, order: Vec::new() })
    }

    /// Whether a data set can replace this one, keeping its buffers and programs.
    pub fn accepts(&self, data: &Dataset, role: Role) -> bool {
        let fits = match self.whole {
            true => data.len() <= self.ty.capacity() && data.chunk().is_none_or(|chunk| data.len() <= chunk),
            false => role == Role::Predict || (data.len(), data.chunk()) == (self.data.len(), self.data.chunk()),
        };
        fits && self.ty == DataType::of(data, role, self.ty.capacity())
    }

    /// Replaces this data set by an accepted one.
    ///
    /// # Errors
    /// If the data cannot be read or the device is lost.
    pub fn replace(&mut self, data: &Dataset, role: Role, buffers: &Buffers) -> Result<()> {
        let order: Vec<u32> = (0..data.len() as u32).collect();
        if self.whole {
            write_data(&data.in_memory()?, role, buffers)?;
        }
        self.data = data.clone();
        self.set_order(role, order, buffers)
    }

    /// Sets the order of the samples.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn set_order(&mut self, role: Role, order: Vec<u32>, buffers: &Buffers) -> Result<()> {
        match Persistent::Data(role, Part::Order).of(buffers) {
            Some(buffer) if self.whole => buffer.write(0, bytemuck::cast_slice(&order))?,
            _ => self.order = order,
        }
        Ok(())
    }

    /// A reader of the chunks of a pass with batches of this size, if not all samples are on the device.
    ///
    /// # Errors
    /// If a batch is larger than a chunk.
    pub(super) fn reader(&self, batch: usize) -> Result<Option<Reader>> {
        if self.whole {
            return Ok(None);
        }
        let capacity = self.ty.capacity();
        if batch > capacity {
            let expected = format!("at most {capacity}, the number of samples on the device at a time");
            return Err(Error::Argument { name: "batch_size", expected, found: batch.to_string() });
        }
        Ok(Some(Reader::new(self.data.clone(), self.order.clone(), capacity, batch)))
    }
}

/// Writes samples in memory, their labels and weights to the start of the buffers of a role. Steps already submitted
/// still read the previous data.
///
/// # Errors
/// If the device is lost.
pub(super) fn write_data(data: &Dataset, role: Role, buffers: &Buffers) -> Result<()> {
    let put = |part: Part, bytes: &[u8]| {
        Persistent::Data(role, part).of(buffers).map_or(Ok(()), |buffer| write(buffer.as_ref(), bytes))
    };
    for (index, input) in data.inputs().iter().enumerate() {
        put(Part::X(index), &input.slice(0..data.len())?)?;
    }
    for (index, labels) in data.targets().iter().enumerate() {
        put(Part::Y(index), labels.bytes())?;
    }
    for (index, weights) in data.target_weights().enumerate() {
        weights.map_or(Ok(()), |weights| put(Part::Weights(index), bytemuck::cast_slice(weights)))?;
    }
    Ok(())
}

/// Copies the features of the standardization of an input, if it has any, to new buffers of the device.
fn upload_features(
    (index, standardization): (usize, &Standardization),
    role: Role,
    device: &Device,
    buffers: &mut Buffers,
) -> Result<()> {
    let Some(features) = &standardization.features else { return Ok(()) };
    let whitening = features.whitening.as_ref().map(|matrix| (Part::Whitening(index), matrix));
    let [centre, divisor] = [(Part::Centre(index), &features.centre), (Part::Divisor(index), &features.divisor)];
    let parts = [Some(centre), Some(divisor), whitening];
    for (part, values) in parts.into_iter().flatten() {
        write_new(Persistent::Data(role, part), bytemuck::cast_slice(values), device, buffers)?;
    }
    Ok(())
}

/// Creates a buffer of at least this size in bytes, replacing any buffer with this name.
fn new(name: Persistent<'_>, bytes: u64, device: &Device, buffers: &mut Buffers) -> Result<Arc<dyn DeviceBuffer>> {
    let name = name.to_string();
    let buffer = device.as_dyn().allocate(&name, bytes.next_multiple_of(16) + READ_PAST)?;
    buffers.insert(&name, buffer.clone());
    Ok(buffer)
}

/// Creates a buffer with these bytes, replacing any buffer with this name.
///
/// # Errors
/// If memory runs out or the device is lost.
fn write_new(name: Persistent<'_>, bytes: &[u8], device: &Device, buffers: &mut Buffers) -> Result<()> {
    write(new(name, bytes.len() as u64, device, buffers)?.as_ref(), bytes)
}

/// Writes bytes to the start of a buffer, padded with up to 3 zeros.
///
/// # Errors
/// If the device is lost.
fn write(buffer: &dyn DeviceBuffer, bytes: &[u8]) -> Result<()> {
    let (words, rest) = bytes.split_at(bytes.len() / 4 * 4);
    buffer.write(0, words)?;
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        buffer.write(words.len() as u64, &last)?;
    }
    Ok(())
}
