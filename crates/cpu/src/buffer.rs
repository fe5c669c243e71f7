//! Memory of the device.

use std::any::Any;
use std::sync::Arc;

use kiln_graph::{DeviceBuffer, DeviceError, Done, Memory, Pending, ReadBack};

use crate::allocation::Allocation;
use crate::context::Context;

#[derive(Debug)]
pub(crate) struct CpuBuffer {
    context: Arc<Context>,
    label: String,
    allocation: Allocation,
}

impl CpuBuffer {
    /// At least `bytes` bytes: a whole number of 32-bit words, at least one.
    pub(crate) fn new(context: &Arc<Context>, label: &str, bytes: u64) -> Result<CpuBuffer, DeviceError> {
        let words = bytes.max(4).checked_next_multiple_of(4).and_then(|bytes| usize::try_from(bytes).ok());
        let allocation = words.and_then(Allocation::zeroed).ok_or_else(|| DeviceError::OutOfMemory {
            device: context.info.name.clone(),
            what: format!("`{label}` of {bytes} bytes"),
        })?;
        Ok(CpuBuffer { context: context.clone(), label: label.to_owned(), allocation })
    }

    /// `buffer` as one of `context`'s.
    pub(crate) fn of(buffer: &Arc<dyn DeviceBuffer>, context: &Arc<Context>) -> Result<Arc<CpuBuffer>, DeviceError> {
        let any: Arc<dyn Any + Send + Sync> = buffer.clone();
        let own = any.downcast::<CpuBuffer>().ok().filter(|own| Arc::ptr_eq(&own.context, context));
        own.ok_or_else(|| context.invalid("a buffer of another device was given; allocate it on this one"))
    }

    /// The words of a range that the plan's check has found to be within the buffer.
    pub(crate) fn memory(&self, offset: u64, bytes: u64) -> Memory {
        self.allocation.memory(offset as usize, bytes as usize)
    }

    /// Copies a range that [`CpuBuffer::range`] has tested.
    ///
    /// # Safety
    /// Nobody may write the buffer meanwhile.
    pub(crate) unsafe fn copy(&self, offset: usize, bytes: usize) -> Vec<u8> {
        // SAFETY: by this function's own contract.
        unsafe { self.allocation.read(offset, bytes) }
    }

    /// Offset and size, if they are words of this buffer.
    pub(crate) fn range(&self, offset: u64, bytes: u64) -> Result<(usize, usize), DeviceError> {
        self.check_range(offset, bytes).map_err(|rule| self.context.invalid(format!("`{}`: {rule}", self.label)))?;
        // Both are at most the size, which is a `usize`.
        Ok((offset as usize, bytes as usize))
    }
}

impl DeviceBuffer for CpuBuffer {
    fn bytes(&self) -> u64 {
        self.allocation.bytes() as u64
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let (offset, _) = self.range(offset, data.len() as u64)?;
        let _turn = self.context.turn();
        // SAFETY: it is our turn, so the device's memory is not used elsewhere.
        unsafe { self.allocation.write(offset, data) };
        Ok(())
    }

    fn read_async(&self, offset: u64, bytes: u64) -> Result<Box<dyn Pending>, DeviceError> {
        let (offset, bytes) = self.range(offset, bytes)?;
        let _turn = self.context.turn();
        // SAFETY: it is our turn, so the device's memory is not used elsewhere.
        Ok(Box::new(Done(unsafe { self.copy(offset, bytes) })))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A range that is to be copied to the host, found in our own buffer: offset and size in bytes.
pub(crate) type Source = (Arc<CpuBuffer>, usize, usize);

/// `range`, if it is one of `context`'s buffers and within it.
pub(crate) fn source(range: Option<ReadBack<'_>>, context: &Arc<Context>) -> Result<Option<Source>, DeviceError> {
    let Some(ReadBack { buffer, offset, bytes }) = range else { return Ok(None) };
    let buffer = CpuBuffer::of(buffer, context)?;
    let (offset, bytes) = buffer.range(offset, bytes)?;
    Ok(Some((buffer, offset, bytes)))
}
