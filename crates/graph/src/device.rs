//! What a device must do to run a plan.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::plan::READ_PAST;
use crate::{Plan, Profile};

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
    /// happens on devices with a smaller [`Limits::max_binding_bytes`]. A limit that is smaller already stays. Buffers
    /// of the one are not for programs of the other.
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

/// What differs between two runs of one program. Kernels see it as `struct Step` of `shaders/lib/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Where in the epoch's order the batch starts, in samples.
    pub first: u32,
    /// The row of the metrics buffer that this step writes.
    pub row: u32,
    /// What the step's random draws depend on, beside their place.
    pub key: [u32; 2],
    /// What the optimizer makes of its learning rate for this step, schedules and bias corrections included: one step
    /// size in most, up to four figures in some.
    pub rates: [f32; 4],
    /// The learning rate itself, which weight decay depends on.
    pub learning_rate: f32,
    /// The number of training steps before this one.
    pub iteration: u32,
    /// Fills a uniform's multiple of 16 bytes.
    pub unused: [u32; 2],
}

/// What a device is.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// Its name, as its driver gives it.
    pub name: String,
    /// The interface behind it: `Vulkan`, `Metal`, `Dx12`, `CPU`.
    pub backend: String,
    /// The driver and its version, or empty.
    pub driver: String,
    /// What kind of hardware it is.
    pub kind: DeviceKind,
    /// What it allows.
    pub limits: Limits,
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A GPU with its own memory.
    DiscreteGpu,
    /// A GPU that shares the processor's memory.
    IntegratedGpu,
    /// A GPU behind a virtual machine's driver.
    VirtualGpu,
    /// A driver that computes on the processor: lavapipe, SwiftShader, WARP.
    Software,
    /// The processor itself, with kernels translated to native code: no driver.
    Cpu,
    /// The driver does not tell.
    Other,
}

/// What a device allows and prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest range of a storage buffer that a kernel sees, in bytes.
    pub max_binding_bytes: u64,
    /// The largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// The most workgroups along one axis of a dispatch.
    pub max_workgroups: u32,
    /// The alignment of a bound range's start, in bytes.
    pub binding_align: u64,
    /// Whether kernels that have no native code ([`Kernel::native`](crate::Kernel::native)) can run: those where an
    /// invocation loads four neighbouring values at once, which is as fast as one on GPUs. On the processor, neighbouring
    /// invocations make a vector, and each should load a value beside that of the last.
    pub gpu_kernels: bool,
    /// The smallest and the largest number of invocations of a subgroup, where kernels can use subgroups.
    pub subgroup_sizes: Option<[u32; 2]>,
}

impl Limits {
    /// What every WebGPU device allows.
    pub const WEBGPU: Limits = Limits {
        max_binding_bytes: 128 << 20,
        max_buffer_bytes: 256 << 20,
        max_workgroups: 65_535,
        binding_align: 256,
        gpu_kernels: true,
        subgroup_sizes: None,
    };

    /// The largest tensor that a kernel sees whole, with [`READ_PAST`](crate::READ_PAST) behind it, in bytes.
    pub fn window_bytes(&self) -> u64 {
        self.max_binding_bytes.saturating_sub(READ_PAST) & !15
    }
}

/// What can go wrong on a device.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device answers to the name, or there is none at all.
    #[error("no device matches `{wanted}`; there are: {}", if .found.is_empty() { "none (install a Vulkan driver, for example Mesa's lavapipe)".to_owned() } else { .found.join(", ") })]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// The names of those that are there.
        found: Vec<String>,
    },
    /// The device's memory is full.
    #[error("{device} is out of memory: {what}; use a smaller batch, or close what else uses the device")]
    OutOfMemory {
        /// The device's name.
        device: String,
        /// What could not be had.
        what: String,
    },
    /// A buffer is larger than any that the device makes.
    #[error(
        "{device}: `{label}` needs {bytes} bytes, the device makes buffers of at most {limit} bytes; use a smaller batch, a smaller model or a device with a larger max_buffer_size"
    )]
    BufferTooLarge {
        /// The device's name.
        device: String,
        /// What the buffer is called.
        label: String,
        /// The size that is needed, in bytes.
        bytes: u64,
        /// The device's limit, in bytes.
        limit: u64,
    },
    /// The device is gone: unplugged, reset by its driver, or destroyed by the host app.
    #[error("{device} was lost: {reason}; weights that were not saved are gone, start again from the last saved model")]
    Lost {
        /// The device's name.
        device: String,
        /// What the driver says.
        reason: String,
    },
    /// A shader is not valid, or the driver does not compile it.
    #[error("{kernel} does not compile on {device}: {message}")]
    Shader {
        /// The device's name.
        device: String,
        /// The kernel's name.
        kernel: String,
        /// What the compiler says.
        message: String,
    },
    /// A kernel reached outside a tensor. Nothing was read or written there, but what the run leaves is not to be used.
    #[error(
        "{kernel} in `{scope}` on {device} reached outside `{variable}`, at word {word}; expected 4-byte words below {words}, the tensor's size: the kernel's indices or the call's workgroups are wrong"
    )]
    OutOfBounds {
        /// The device's name.
        device: String,
        /// The scope of the node that the call comes from, usually a layer's name.
        scope: String,
        /// The kernel's name.
        kernel: &'static str,
        /// The name of the binding, or of the workgroup variable, in the shader.
        variable: &'static str,
        /// The first 32-bit word of the access, counted from the start of the binding.
        word: u32,
        /// The binding's size in 32-bit words.
        words: usize,
    },
    /// A request broke a rule of the device.
    #[error("{device}: {message}")]
    Invalid {
        /// The device's name.
        device: String,
        /// Which rule, and how.
        message: String,
    },
}
