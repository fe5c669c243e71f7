//! What a device must do to run a plan.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::{DeviceError, DeviceInfo, Plan, Profile, Step};

/// Something that runs plans: a GPU, the processor, or what a user brings.
pub trait Device: Debug + Send + Sync {
    /// What it is.
    fn info(&self) -> &DeviceInfo;

    /// A buffer of `bytes` bytes, all zero.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`], or [`DeviceError::Lost`].
    fn allocate(&self, label: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError>;

    /// Makes everything that running `plan` needs. `buffers` holds one buffer per [`Plan::buffers`], at least as large.
    ///
    /// # Errors
    /// When a kernel does not compile, memory runs out or the device is lost.
    fn program(&self, plan: &Plan, buffers: &[Arc<dyn DeviceBuffer>]) -> Result<Box<dyn Program>, DeviceError>;

    /// This device opened once more, so that kernels see at most `bytes` bytes of a buffer at once: for tests of what
    /// happens on devices with a smaller [`Limits::max_binding_bytes`](crate::Limits::max_binding_bytes). A limit that is
    /// smaller already stays. Buffers of the one are not for programs of the other.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] when the device cannot be opened again.
    fn with_binding_limit(&self, bytes: u64) -> Result<Arc<dyn Device>, DeviceError> {
        let message = format!("a limit of {bytes} bytes was asked for, expected a device that can be opened again");
        Err(DeviceError::Invalid { device: self.info().name.clone(), message })
    }

    /// Runs `plan` once per step and times its calls. The first step only warms up, where there are more: its memory may
    /// not be mapped yet, and many drivers compile at the first dispatch. Buffers are as for [`Device::program`], and
    /// what the plan updates is updated.
    ///
    /// # Errors
    /// As [`Device::program`] and [`Program::run`]; [`DeviceError::Invalid`] from a device that cannot time its calls.
    fn profile(&self, plan: &Plan, buffers: &[Arc<dyn DeviceBuffer>], steps: &[Step]) -> Result<Profile, DeviceError> {
        let (_, _, _) = (plan, buffers, steps);
        let message = "a profile was asked for, expected a device that times its calls".to_owned();
        Err(DeviceError::Invalid { device: self.info().name.clone(), message })
    }
}

/// Memory of a device.
pub trait DeviceBuffer: Any + Debug + Send + Sync {
    /// Its size in bytes.
    fn bytes(&self) -> u64;

    /// Writes `data` at `offset`, both multiples of 4 bytes. Programs that are run later see it.
    ///
    /// # Errors
    /// When the range is not within the buffer or the device is lost.
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), DeviceError>;

    /// Reads `bytes` bytes at `offset`, both multiples of 4, after all that was run before. Waits.
    ///
    /// # Errors
    /// When the range is not within the buffer or the device is lost.
    fn read(&self, offset: u64, bytes: u64) -> Result<Vec<u8>, DeviceError>;

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

    /// For the device, to find its own type again.
    fn as_any(&self) -> &dyn Any;
}

/// A plan made ready on a device.
pub trait Program: Debug + Send {
    /// Runs the plan once per step, in order, as one submission, and does not wait. When the last step is done,
    /// `read_back` (if any) is copied to the host.
    ///
    /// # Errors
    /// When the device is lost, has run out of memory or reported a fault.
    fn run(&mut self, steps: &[Step], read_back: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError>;
}

/// A range of a buffer that is to be copied to the host.
#[derive(Clone, Copy, Debug)]
pub struct ReadBack<'a> {
    /// The buffer.
    pub buffer: &'a Arc<dyn DeviceBuffer>,
    /// Where the range starts, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A submission on its way.
pub trait Pending: Debug + Send {
    /// What was read back (empty if nothing was to be), once the submission is done; `None` until then. Does not wait.
    ///
    /// # Errors
    /// When the device is lost or reported a fault.
    fn poll(&mut self) -> Result<Option<Vec<u8>>, DeviceError>;

    /// Waits until the submission is done and gives what was read back.
    ///
    /// # Errors
    /// When the device is lost or reported a fault.
    fn wait(self: Box<Self>) -> Result<Vec<u8>, DeviceError>;
}
