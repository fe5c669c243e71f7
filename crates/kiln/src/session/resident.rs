//! Data sets that lie on the device.

use std::sync::Arc;

use kiln_graph::{Buffers, DType, READ_PAST, Shape, TensorType};

use crate::augmentation::Standardization;
use crate::data::{Dataset, Labels, Values};
use crate::{Device, Error, Result};

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

/// A data set that lies on the device.
#[derive(Debug)]
pub(crate) struct Resident {
    data: Dataset,
    pub samples: usize,
    pub x: TensorType,
    pub y: TensorType,
    pub scale: f32,
    pub offset: f32,
}

impl Resident {
    /// Whether these very values lie on the device: the same memory, not only equal values.
    pub fn holds(&self, other: &Dataset) -> bool {
        let values = match (self.data.values(), other.values()) {
            (Values::U8(a), Values::U8(b)) => Arc::ptr_eq(a, b),
            (Values::F32(a), Values::F32(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        let labels = match (self.data.labels(), other.labels()) {
            (Labels::Index { values: a, .. }, Labels::Index { values: b, .. }) => Arc::ptr_eq(a, b),
            (Labels::Values { values: a, .. }, Labels::Values { values: b, .. }) => Arc::ptr_eq(a, b),
            _ => false,
        };
        let rule = (self.scale, self.offset) == (other.scale(), other.offset());
        let rule = rule && self.data.sample_weights() == other.sample_weights();
        let rule = rule && self.data.standardization() == other.standardization();
        values && labels && rule && self.data.sample_shape() == other.sample_shape()
    }

    /// Whether its samples have weights.
    pub fn is_weighted(&self) -> bool {
        self.data.sample_weights().is_some()
    }

    /// What becomes of its values after they were scaled.
    pub fn standardization(&self) -> &Standardization {
        self.data.standardization()
    }

    /// Copies a data set to new buffers of the device, in the order in which it is.
    ///
    /// # Errors
    /// When it is larger than what the device lets a kernel see at once, or memory runs out.
    pub fn upload(data: &Dataset, role: Role, device: &Device, buffers: &mut Buffers) -> Result<Resident> {
        let samples = data.len();
        let (x_type, x): (DType, &[u8]) = match data.values() {
            Values::U8(values) => (DType::U8, values),
            Values::F32(values) => (DType::F32, bytemuck::cast_slice(values)),
        };
        let (y, labels): (TensorType, &[u8]) = match data.labels() {
            Labels::Index { values, .. } => (TensorType::new([samples], DType::U32), bytemuck::cast_slice(values)),
            Labels::Values { values, size } => (TensorType::f32([samples, *size]), bytemuck::cast_slice(values)),
        };
        let x_shape: Shape = data.sample_shape().batched(samples);
        let resident = Resident {
            data: data.clone(),
            samples,
            x: TensorType::new(x_shape, x_type),
            y,
            scale: data.scale(),
            offset: data.offset(),
        };
        let limit = device.info().limits.max_binding_bytes;
        if resident.x.bytes() > limit {
            let expected = format!("at most {limit} bytes, which is what {} binds at once", device.info().name);
            return Err(Error::Argument { name: "data", expected, found: format!("{} bytes", resident.x.bytes()) });
        }
        let order: Vec<u32> = (0..samples as u32).collect();
        for (part, bytes) in [("x", x), ("y", labels), ("order", bytemuck::cast_slice(&order))] {
            write_new(&role.buffer(part), bytes, device, buffers)?;
        }
        if let Some(weights) = data.sample_weights() {
            write_new(&role.buffer("weights"), bytemuck::cast_slice(weights), device, buffers)?;
        }
        data.standardization().upload(role, device, buffers)?;
        Ok(resident)
    }
}

/// Makes a buffer with these bytes, in place of the one that has this name, if there is one.
///
/// # Errors
/// When memory runs out or the device is lost.
pub(crate) fn write_new(name: &str, bytes: &[u8], device: &Device, buffers: &mut Buffers) -> Result<()> {
    let buffer = device.as_dyn().allocate(name, (bytes.len() as u64).next_multiple_of(16) + READ_PAST)?;
    let (words, rest) = bytes.split_at(bytes.len() / 4 * 4);
    buffer.write(0, words)?;
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        buffer.write(words.len() as u64, &last)?;
    }
    buffers.insert(name, buffer);
    Ok(())
}
