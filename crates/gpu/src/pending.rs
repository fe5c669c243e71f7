//! A submission in flight and its read-back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as Task, Poll};

use futures::channel::oneshot::{Canceled, Receiver, channel};
use futures::future::FutureExt;
use kiln_graph::{DeviceError, Pending, may_wait};

use crate::buffer::Source;
use crate::context::Context;
use crate::poller::Watch;
use crate::scopes::Late;

/// The answer of wgpu when it has mapped a read-back, or when a submission without one is done.
type Mapped = Result<(), wgpu::BufferAsyncError>;

#[derive(Debug)]
pub(crate) struct GpuPending {
    context: Arc<Context>,
    index: wgpu::SubmissionIndex,
    /// Where the read-back goes, and its size in bytes.
    staging: Option<(wgpu::Buffer, u64)>,
    reads_back: bool,
    mapped: Receiver<Mapped>,
    /// Errors of calls up to this submission that wgpu reports later.
    late: Late,
    /// Set when an executor polls: the poller's thread waits for the driver.
    watch: Option<Arc<Watch>>,
}

impl GpuPending {
    /// Submits the commands of `encoder`, with a copy of `source` behind them.
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
        let (sender, mapped) = channel();
        let (reads_back, weak) = (staging.is_some(), Arc::downgrade(context));
        // If the pending was dropped, there is no receiver, and the buffer is free once it is mapped.
        context.attempt("read back", || match &staging {
            Some((buffer, bytes)) => {
                let staging = buffer.clone();
                let done = move |result| {
                    if let (Err(_), Some(context)) = (sender.send(result), weak.upgrade()) {
                        context.ring.give(&context, staging);
                    }
                };
                buffer.map_async(wgpu::MapMode::Read, 0..*bytes, done);
            }
            None => context.queue.on_submitted_work_done(move || drop(sender.send(Ok(())))),
        })?;
        let late = context.take_late();
        Ok(GpuPending { context: context.clone(), index, staging, mapped, reads_back, late, watch: None })
    }

    /// The read-back, once wgpu has answered.
    fn finish(&mut self, answer: Result<Mapped, Canceled>) -> Result<Vec<u8>, DeviceError> {
        match answer {
            // Does not wait any more, but detects a submission dropped with its device.
            Ok(Ok(())) => self.context.wait(&self.index)?,
            Ok(Err(error)) => {
                self.context.alive()?;
                return Err(self.context.invalid(format!("the read-back cannot be mapped: {error}")));
            }
            Err(Canceled) => {
                self.context.alive()?;
                return Err(self.context.invalid("the submission was waited for twice"));
            }
        }
        let Some((staging, bytes)) = self.staging.take() else { return Ok(Vec::new()) };
        match staging.get_mapped_range(0..bytes).map(|view| view.to_vec()) {
            Ok(bytes) => {
                self.context.ring.give(&self.context, staging);
                Ok(bytes)
            }
            Err(error) => {
                self.context.alive()?;
                Err(self.context.invalid(error.to_string()))
            }
        }
    }
}

impl Pending for GpuPending {
    fn try_wait(&mut self) -> Result<Option<Vec<u8>>, DeviceError> {
        self.context.poll()?;
        if !self.late.is_settled(&self.context)? {
            return Ok(None);
        }
        match self.mapped.try_recv() {
            Ok(None) => Ok(None),
            Ok(Some(mapped)) => self.finish(Ok(mapped)).map(Some),
            Err(canceled) => self.finish(Err(canceled)).map(Some),
        }
    }
}

impl Future for GpuPending {
    type Output = Result<Vec<u8>, DeviceError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.late.poll(&this.context, task)?.is_pending() {
            return Poll::Pending;
        }
        loop {
            let is_over = this.watch.as_ref().is_some_and(|watch| watch.over.load(Ordering::Acquire));
            let waits = may_wait() || is_over;
            if waits {
                this.context.wait(&this.index)?
            } else {
                this.context.poll()?
            }
            if waits && !this.reads_back {
                // wgpu calls back after all that was submitted by now, perhaps by others: nothing more to wait for.
                return Poll::Ready(Ok(Vec::new()));
            }
            if let Poll::Ready(answer) = this.mapped.poll_unpin(task) {
                return Poll::Ready(this.finish(answer));
            }
            if waits {
                // Another thread has found the submission done and is about to call back.
                std::thread::yield_now();
                continue;
            }
            match &this.watch {
                Some(watch) => watch.waker.register(task.waker()),
                None => {
                    let watch = this.watch.insert(Arc::default());
                    watch.waker.register(task.waker());
                    this.context.poller.watch(&this.context.device, watch);
                }
            }
            // The watch may have ended before the waker was there.
            if !this.watch.as_ref().is_some_and(|watch| watch.over.load(Ordering::Acquire)) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for GpuPending {
    fn drop(&mut self) {
        self.context.put_late(std::mem::take(&mut self.late));
        if let Some(watch) = &self.watch {
            watch.over.store(true, Ordering::Release);
        }
        // An answer that comes later finds no receiver, and its callback returns the buffer.
        self.mapped.close();
        if let (Ok(Some(Ok(()))), Some((staging, _))) = (self.mapped.try_recv(), self.staging.take()) {
            self.context.ring.give(&self.context, staging);
        }
    }
}
