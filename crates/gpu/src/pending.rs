//! A submission on its way, and what it brings back.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use kiln_graph::{DeviceError, Pending};

use crate::buffer::Source;
use crate::context::Context;

#[derive(Debug)]
pub(crate) struct GpuPending {
    context: Arc<Context>,
    index: wgpu::SubmissionIndex,
    /// Where the read-back goes, and its size in bytes.
    staging: Option<(wgpu::Buffer, u64)>,
    /// Hears once that the submission is done, and whether the read-back could be mapped.
    done: Receiver<Result<(), wgpu::BufferAsyncError>>,
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
        let (sender, done) = channel();
        // Nobody listens any more where the pending was dropped before it came.
        context.attempt("read back", || match &staging {
            Some((buffer, bytes)) => {
                buffer.map_async(wgpu::MapMode::Read, 0..*bytes, move |result| drop(sender.send(result)));
            }
            None => context.queue.on_submitted_work_done(move || drop(sender.send(Ok(())))),
        })?;
        Ok(GpuPending { context: context.clone(), index, staging, done })
    }
}

impl Pending for GpuPending {
    fn poll(&mut self) -> Result<Option<Vec<u8>>, DeviceError> {
        self.context.poll()?;
        match self.done.try_recv() {
            // Does not wait any more, but tells when the submission was dropped because the device is lost.
            Ok(Ok(())) => self.context.wait(&self.index)?,
            Err(TryRecvError::Empty) => return Ok(None),
            Ok(Err(_)) | Err(TryRecvError::Disconnected) => {
                self.context.alive()?;
                return Err(self.context.invalid("the submission was waited for twice"));
            }
        }
        let Some((staging, bytes)) = self.staging.take() else { return Ok(Some(Vec::new())) };
        let view = staging.get_mapped_range(0..bytes);
        let bytes = view.map(|view| view.to_vec()).map_err(|error| self.context.invalid(error.to_string()));
        self.context.ring.give(&self.context, staging);
        bytes.map(Some)
    }

    fn wait(mut self: Box<Self>) -> Result<Vec<u8>, DeviceError> {
        self.context.wait(&self.index)?;
        loop {
            if let Some(bytes) = self.poll()? {
                return Ok(bytes);
            }
            // Another thread has found the submission done and is about to call back.
            std::thread::yield_now();
        }
    }
}

impl Drop for GpuPending {
    fn drop(&mut self) {
        // The device may still copy into it; whoever takes it next writes after that, in the queue's order.
        if let Some((staging, _)) = self.staging.take() {
            self.context.ring.give(&self.context, staging);
        }
    }
}
