//! A submission on its way, and what it brings back.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use kiln_graph::{DeviceError, Pending};

use crate::buffer::Source;
use crate::context::Context;

#[derive(Debug)]
pub(crate) struct GpuPending {
    context: Arc<Context>,
    index: wgpu::SubmissionIndex,
    copy: Option<Copy>,
}

/// A range on its way to the host.
#[derive(Debug)]
struct Copy {
    staging: wgpu::Buffer,
    bytes: u64,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl GpuPending {
    /// Submits what `encoder` holds, with a copy of `source` behind it.
    pub(crate) fn submit(
        context: &Arc<Context>,
        mut encoder: wgpu::CommandEncoder,
        source: Option<Source<'_>>,
    ) -> Result<GpuPending, DeviceError> {
        let staging = match source {
            Some((_, _, bytes)) => Some((context.ring.take(context, bytes)?, bytes)),
            None => None,
        };
        let commands = context.attempt("encode", || {
            if let (Some((buffer, offset, bytes)), Some((staging, _))) = (source, &staging) {
                encoder.copy_buffer_to_buffer(buffer.wgpu_buffer(), offset, staging, 0, bytes);
            }
            encoder.finish()
        })?;
        let index = context.submit(commands)?;
        let copy = match staging {
            Some((staging, bytes)) => Some(map(context, staging, bytes)?),
            None => None,
        };
        Ok(GpuPending { context: context.clone(), index, copy })
    }
}

fn map(context: &Context, staging: wgpu::Buffer, bytes: u64) -> Result<Copy, DeviceError> {
    let (sender, mapped) = channel();
    // Nobody listens any more when the read-back was dropped before it came.
    let callback = move |result| drop(sender.send(result));
    context.attempt("map", || staging.map_async(wgpu::MapMode::Read, 0..bytes, callback))?;
    Ok(Copy { staging, bytes, mapped })
}

impl Pending for GpuPending {
    fn poll(&mut self) -> Result<Option<Vec<u8>>, DeviceError> {
        if !self.context.done(&self.index, Some(Duration::ZERO))? {
            return Ok(None);
        }
        let Some(copy) = &self.copy else { return Ok(Some(Vec::new())) };
        match copy.mapped.try_recv() {
            // Another thread has found the submission done and is about to call back.
            Err(TryRecvError::Empty) => return Ok(None),
            Err(TryRecvError::Disconnected) | Ok(Err(_)) => {
                // Where the device is lost, this says why.
                self.context.flush()?;
                return Err(self.context.invalid("what was to be read back cannot be mapped"));
            }
            Ok(Ok(())) => {}
        }
        let view = copy.staging.get_mapped_range(0..copy.bytes);
        let bytes = view.map(|view| view.to_vec()).map_err(|error| self.context.invalid(error.to_string()))?;
        if let Some(copy) = self.copy.take() {
            self.context.ring.give(&self.context, copy.staging);
        }
        Ok(Some(bytes))
    }

    fn wait(mut self: Box<Self>) -> Result<Vec<u8>, DeviceError> {
        loop {
            self.context.done(&self.index, None)?;
            if let Some(bytes) = self.poll()? {
                return Ok(bytes);
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for GpuPending {
    fn drop(&mut self) {
        // The device may still copy into it; whoever takes it next writes after that, in the queue's order.
        if let Some(copy) = self.copy.take() {
            self.context.ring.give(&self.context, copy.staging);
        }
    }
}
