//! The state shared by all objects of a device: the device itself, its fault, its caches and counters.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_graph::{DeviceError, DeviceInfo};

use crate::cache::PipelineCache;
use crate::pipeline::Pipelines;
use crate::poller::Poller;
use crate::scopes::{Captured, Late, capture};
use crate::staging::Ring;

pub(crate) struct Context {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) info: DeviceInfo,
    pub(crate) limits: wgpu::Limits,
    pub(crate) checked: bool,
    pub(crate) pipelines: Pipelines,
    pub(crate) cache: Option<PipelineCache>,
    pub(crate) ring: Ring,
    pub(crate) poller: Poller,
    /// Errors that wgpu reports later, for the next submission.
    late: Mutex<Late>,
    pub(crate) buffers_made: AtomicU64,
    pub(crate) bytes_made: AtomicU64,
    fault: Arc<Mutex<Option<DeviceError>>>,
}

impl Context {
    pub(crate) fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        checked: bool,
        cache: Option<PipelineCache>,
        cooperative_matrices: bool,
    ) -> Context {
        let limits = device.limits();
        let info = crate::adapter::info(&device.adapter_info(), &limits, device.features(), cooperative_matrices);
        tracing::debug!(name = info.name, backend = info.backend, driver = info.driver, checked, "open device");
        Context {
            device,
            queue,
            info,
            limits,
            checked,
            pipelines: Pipelines::default(),
            cache,
            ring: Ring::default(),
            poller: Poller::default(),
            late: Mutex::default(),
            buffers_made: AtomicU64::new(0),
            bytes_made: AtomicU64::new(0),
            fault: Arc::default(),
        }
    }

    /// Handles errors that wgpu reports outside of any call. Only for Kiln's own devices.
    pub(crate) fn install_callbacks(&self) {
        let (fault, name) = (self.fault.clone(), self.info.name.clone());
        self.device.set_device_lost_callback(move |reason, message| {
            let reason = match (reason, message.is_empty()) {
                (wgpu::DeviceLostReason::Destroyed, _) => "it was destroyed".to_owned(),
                (_, true) => "the driver reports no reason".to_owned(),
                (_, false) => message,
            };
            record(&fault, DeviceError::Lost { device: name.clone(), reason });
        });
        let (fault, name) = (self.fault.clone(), self.info.name.clone());
        self.device.on_uncaptured_error(Arc::new(move |error| {
            record(&fault, translate(&name, "outside of any call", error));
        }));
    }

    /// The first fault of the device, if there was one. A loss replaces earlier faults.
    pub(crate) fn fault(&self) -> Result<(), DeviceError> {
        match &*lock(&self.fault) {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    pub(crate) fn invalid(&self, message: impl Into<String>) -> DeviceError {
        DeviceError::Invalid { device: self.info.name.clone(), message: message.into() }
    }

    /// Runs `f`, unless the device has a fault, and translates the errors that wgpu reports; `what` names the
    /// operation in them. Errors that wgpu reports later are those of the next submission.
    pub(crate) fn attempt<T>(&self, what: &str, f: impl FnOnce() -> T) -> Result<T, DeviceError> {
        self.attempt_or(what, f, |error| self.translate(what, error))
    }

    /// As [`Context::attempt`], with errors of the caller's own.
    pub(crate) fn attempt_or<T>(
        &self,
        what: &str,
        f: impl FnOnce() -> T,
        translate: impl FnOnce(wgpu::Error) -> DeviceError,
    ) -> Result<T, DeviceError> {
        self.fault()?;
        let Captured { value, error, late } = capture(&self.device, f);
        late.into_iter().for_each(|answer| lock(&self.late).push(what, answer));
        match error {
            None => Ok(value),
            Some(error) => {
                // On a lost device every object is invalid; the loss is the error to report.
                self.alive()?;
                Err(translate(error))
            }
        }
    }

    fn translate(&self, what: &str, error: wgpu::Error) -> DeviceError {
        translate(&self.info.name, what, error)
    }

    /// Makes a late error the fault of the device, if it has none: the objects created meanwhile are invalid.
    pub(crate) fn fail(&self, what: &str, error: wgpu::Error) -> DeviceError {
        record(&self.fault, self.translate(what, error))
    }

    /// Takes the error scopes that have not answered, for a submission to wait for.
    pub(crate) fn take_late(&self) -> Late {
        std::mem::take(&mut *lock(&self.late))
    }

    /// Returns unanswered error scopes for the next submission.
    pub(crate) fn put_late(&self, late: Late) {
        lock(&self.late).append(late);
    }

    /// A new buffer of at least `bytes` bytes: a whole number of 32-bit words, at least one.
    pub(crate) fn buffer(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, DeviceError> {
        let limit = self.info.limits.max_buffer_bytes;
        if bytes > limit {
            let (device, label) = (self.info.name.clone(), label.to_owned());
            return Err(DeviceError::BufferTooLarge { device, label, bytes, limit });
        }
        let size = bytes.max(4).next_multiple_of(4);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let what = format!("`{label}` of {size} bytes");
        let buffer = self.attempt(&what, || self.device.create_buffer(&descriptor))?;
        self.buffers_made.fetch_add(1, Ordering::Relaxed);
        self.bytes_made.fetch_add(size, Ordering::Relaxed);
        Ok(buffer)
    }

    /// Submits `commands` and all writes before them.
    pub(crate) fn submit(&self, commands: wgpu::CommandBuffer) -> Result<wgpu::SubmissionIndex, DeviceError> {
        self.attempt("submit", || self.queue.submit([commands]))
    }

    /// Starts all pending writes, so that their staging memory is soon free.
    pub(crate) fn flush(&self) -> Result<(), DeviceError> {
        self.attempt("submit", || self.queue.submit([]))?;
        self.alive()
    }

    /// Checks whether the device still accepts work. wgpu silently ignores calls on a lost device, but a buffer created
    /// mapped is then not mapped.
    pub(crate) fn alive(&self) -> Result<(), DeviceError> {
        self.fault()?;
        let descriptor = wgpu::BufferDescriptor {
            label: Some("probe"),
            size: 4,
            usage: wgpu::BufferUsages::MAP_WRITE,
            mapped_at_creation: true,
        };
        let probe = || self.device.create_buffer(&descriptor).get_mapped_range_mut(..).is_ok();
        let probed = capture(&self.device, probe);
        if probed.value || probed.error.is_some() { Ok(()) } else { Err(self.lost("it takes no more work")) }
    }

    /// Waits for a submission.
    pub(crate) fn wait(&self, index: &wgpu::SubmissionIndex) -> Result<(), DeviceError> {
        let wait = wgpu::PollType::Wait { submission_index: Some(index.clone()), timeout: None };
        match self.try_poll(wait) {
            Some(Ok(_)) => self.fault(),
            Some(Err(_)) => Err(self.lost("it has dropped the work that was waited for")),
            None => Err(self.lost("its driver reports a failure")),
        }
    }

    /// Runs the callbacks of finished work. Does not wait.
    pub(crate) fn poll(&self) -> Result<(), DeviceError> {
        // Not a wait with a timeout of 0: if another thread waits too, an assertion in wgpu 30 fails.
        match self.try_poll(wgpu::PollType::Poll) {
            Some(_) => self.fault(),
            None => Err(self.lost("its driver reports a failure")),
        }
    }

    fn lost(&self, reason: &str) -> DeviceError {
        // Lets wgpu report its own reason first: it does so when the queue is empty.
        self.try_poll(wgpu::PollType::wait_indefinitely());
        record(&self.fault, DeviceError::Lost { device: self.info.name.clone(), reason: reason.to_owned() })
    }

    /// `None` if wgpu panicked, as it does when the driver loses the device during the call.
    fn try_poll(&self, poll: wgpu::PollType) -> Option<Result<wgpu::PollStatus, wgpu::PollError>> {
        catch_unwind(AssertUnwindSafe(|| self.device.poll(poll))).ok()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("info", &self.info).field("checked", &self.checked).finish_non_exhaustive()
    }
}

/// The lock, even if a thread panicked while holding it: no state behind our locks is ever half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(fault: &Mutex<Option<DeviceError>>, error: DeviceError) -> DeviceError {
    let mut fault = lock(fault);
    match &*fault {
        Some(first) if matches!(first, DeviceError::Lost { .. }) || !matches!(error, DeviceError::Lost { .. }) => {
            first.clone()
        }
        _ => fault.insert(error).clone(),
    }
}

fn translate(device: &str, what: &str, error: wgpu::Error) -> DeviceError {
    let device = device.to_owned();
    match error {
        wgpu::Error::OutOfMemory { .. } => DeviceError::OutOfMemory { device, what: what.to_owned() },
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            DeviceError::Invalid { device, message: format!("{what}: {}", causes(&description)) }
        }
    }
}

/// wgpu's description of an error without its heading.
pub(crate) fn causes(description: &str) -> &str {
    description.trim_start_matches("Validation Error").trim_start().trim_start_matches("Caused by:").trim()
}
