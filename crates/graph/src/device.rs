//! The interface of a device that runs plans.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};

use crate::{DeviceError, DeviceInfo, Pending, Plan, Profile, Step, block_on};

/// A future of a device.
pub type DeviceFuture<'a, T> = BoxFuture<'a, Result<T, DeviceError>>;

/// A device that runs plans: a GPU, the processor, or one of the user's own.
///
/// Methods that end in `_async` never block the calling thread on the device; those of the same name without it are the
/// same behind [`block_on`].
pub trait Device: Debug + Send + Sync {
    /// Name, backend, driver and limits.
    fn info(&self) -> &DeviceInfo;

    /// Allocates a buffer of `bytes` bytes, all zero.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`], or [`DeviceError::Lost`].
    fn allocate(&self, label: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError>;

    /// Compiles a plan. `buffers` holds one buffer per [`Plan::buffers`], at least as large.
    ///
    /// # Errors
    /// If a kernel does not compile, memory runs out or the device is lost.
    fn program_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
    ) -> DeviceFuture<'a, Box<dyn Program>>;

    /// As [`Device::program_async`], and waits.
    ///
    /// # Errors
    /// As [`Device::program_async`].
    fn program(&self, plan: &Plan, buffers: &[Arc<dyn DeviceBuffer>]) -> Result<Box<dyn Program>, DeviceError> {
        block_on(self.program_async(plan, buffers))
    }

    /// Opens this device once more, with kernels that see at most `bytes` bytes of a buffer at once: for tests of devices
    /// with a smaller [`Limits::max_binding_bytes`](crate::Limits::max_binding_bytes). A limit that is smaller already
    /// stays. Programs of one device cannot use buffers of the other.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] if the device cannot be reopened.
    fn with_binding_limit(&self, bytes: u64) -> Result<Arc<dyn Device>, DeviceError> {
        let message = format!("this device cannot be reopened with a binding limit of {bytes} bytes");
        Err(DeviceError::Invalid { device: self.info().name.clone(), message })
    }

    /// Runs `plan` once per step and times its calls. The first of several steps only warms up: its memory may not be
    /// mapped yet, and many drivers compile at the first dispatch. Buffers are as for [`Device::program_async`]; the plan
    /// updates them as in a run.
    ///
    /// # Errors
    /// As [`Device::program_async`] and [`Program::run`]; [`DeviceError::Invalid`] from a device that cannot time its calls.
    fn profile_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
        steps: &'a [Step],
    ) -> DeviceFuture<'a, Profile> {
        let (_, _, _) = (plan, buffers, steps);
        let message = "this device cannot time its calls".to_owned();
        ready(Err(DeviceError::Invalid { device: self.info().name.clone(), message })).boxed()
    }

    /// As [`Device::profile_async`], and waits.
    ///
    /// # Errors
    /// As [`Device::profile_async`].
    fn profile(&self, plan: &Plan, buffers: &[Arc<dyn DeviceBuffer>], steps: &[Step]) -> Result<Profile, DeviceError> {
        block_on(self.profile_async(plan, buffers, steps))
    }
}

/// Memory of a device.
pub trait DeviceBuffer: Any + Debug + Send + Sync {
    /// The size in bytes.
    fn bytes(&self) -> u64;

    /// Writes `data` at `offset`, both multiples of 4 bytes. Programs that run later see it. Does not wait.
    ///
    /// # Errors
    /// If the range is not within the buffer or the device is lost.
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), DeviceError>;

    /// Reads `bytes` bytes at `offset`, both multiples of 4, behind all runs before. Does not wait.
    ///
    /// # Errors
    /// If the range is not within the buffer or the device is lost.
    fn read_async(&self, offset: u64, bytes: u64) -> Result<Box<dyn Pending>, DeviceError>;

    /// As [`DeviceBuffer::read_async`], and waits.
    ///
    /// # Errors
    /// As [`DeviceBuffer::read_async`].
    fn read(&self, offset: u64, bytes: u64) -> Result<Vec<u8>, DeviceError> {
        self.read_async(offset, bytes)?.wait()
    }

    /// Whether a range lies within the buffer, and is one of whole 32-bit words.
    ///
    /// # Errors
    /// The rule that is broken, in words.
    fn check_range(&self, offset: u64, bytes: u64) -> Result<(), String> {
        let size = self.bytes();
        let within = offset.checked_add(bytes).is_some_and(|end| end <= size);
        if within && offset.is_multiple_of(4) && bytes.is_multiple_of(4) {
            return Ok(());
        }
        let rule = if within { "both must be multiples of 4" } else { "that is not within it" };
        Err(format!("{bytes} bytes at {offset} of a buffer of {size} bytes: {rule}"))
    }

    /// Lets the device find its own type again.
    fn as_any(&self) -> &dyn Any;
}

/// A plan compiled for a device.
pub trait Program: Debug + Send {
    /// Runs the plan once per step, in order, as one submission, and does not wait for a GPU. When the last step is done,
    /// `read_back` (if any) is copied to the host.
    ///
    /// # Errors
    /// If the device is lost, has run out of memory or reported a fault.
    fn run(&mut self, steps: &[Step], read_back: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError>;
}

/// A range of a buffer that a run copies to the host.
#[derive(Clone, Copy, Debug)]
pub struct ReadBack<'a> {
    /// The buffer.
    pub buffer: &'a Arc<dyn DeviceBuffer>,
    /// The start of the range, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}
