//! Memory of the device.

use std::any::Any;
use std::sync::Arc;

use kiln_graph::{DeviceBuffer, DeviceError, Done, Pending, ReadBack};

use crate::context::Context;
use crate::pending::GpuPending;

/// A storage buffer. wgpu zeroes it before its first use.
#[derive(Debug)]
pub struct GpuBuffer {
    context: Arc<Context>,
    label: String,
    raw: wgpu::Buffer,
}

impl GpuBuffer {
    pub(crate) fn new(context: &Arc<Context>, label: &str, bytes: u64) -> Result<GpuBuffer, DeviceError> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let raw = context.buffer(label, bytes, usage)?;
        context.flush()?;
        Ok(GpuBuffer { context: context.clone(), label: label.to_owned(), raw })
    }

    /// The underlying buffer, for an app that renders a model's results.
    pub fn wgpu_buffer(&self) -> &wgpu::Buffer {
        &self.raw
    }

    /// `buffer` as one of `context`'s.
    pub(crate) fn of<'a>(
        buffer: &'a Arc<dyn DeviceBuffer>,
        context: &Arc<Context>,
    ) -> Result<&'a GpuBuffer, DeviceError> {
        let own = buffer.as_any().downcast_ref::<GpuBuffer>();
        own.filter(|own| Arc::ptr_eq(&own.context, context))
            .ok_or_else(|| context.invalid("a buffer of another device was given; allocate it on this one"))
    }

    /// Whether `bytes` bytes at `offset` are words of this buffer.
    pub(crate) fn check(&self, offset: u64, bytes: u64) -> Result<(), DeviceError> {
        self.check_range(offset, bytes).map_err(|rule| self.context.invalid(format!("`{}`: {rule}", self.label)))
    }
}

impl DeviceBuffer for GpuBuffer {
    fn bytes(&self) -> u64 {
        self.raw.size()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.check(offset, data.len() as u64)?;
        let what = format!("write {} bytes to `{}`", data.len(), self.label);
        self.context.attempt(&what, || self.context.queue.write_buffer(&self.raw, offset, data))?;
        self.context.flush()
    }

    fn read_async(&self, offset: u64, bytes: u64) -> Result<Box<dyn Pending>, DeviceError> {
        self.check(offset, bytes)?;
        if bytes == 0 {
            self.context.fault()?;
            return Ok(Box::new(Done(Vec::new())));
        }
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("read") };
        let encoder = self.context.attempt("read", || self.context.device.create_command_encoder(&descriptor))?;
        Ok(Box::new(GpuPending::submit(&self.context, encoder, Some((self, offset, bytes)))?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A range of one of our buffers to be copied to the host.
pub(crate) type Source<'a> = (&'a GpuBuffer, u64, u64);

/// `range`, if it is one of `context`'s buffers and within it. An empty range is none.
pub(crate) fn source<'a>(
    range: Option<ReadBack<'a>>,
    context: &Arc<Context>,
) -> Result<Option<Source<'a>>, DeviceError> {
    let Some(ReadBack { buffer, offset, bytes }) = range else { return Ok(None) };
    let buffer = GpuBuffer::of(buffer, context)?;
    buffer.check(offset, bytes)?;
    Ok((bytes > 0).then_some((buffer, offset, bytes)))
}
