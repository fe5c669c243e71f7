//! Properties and limits of devices.

use crate::plan::READ_PAST;

/// Name, backend, driver and limits of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// Its name, from the driver.
    pub name: String,
    /// Its backend: `Vulkan`, `Metal`, `Dx12`, `CPU`.
    pub backend: String,
    /// The driver and its version, or empty.
    pub driver: String,
    /// The kind of hardware.
    pub kind: DeviceKind,
    /// Its limits.
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
    /// A virtualised GPU.
    VirtualGpu,
    /// A driver that computes on the processor: lavapipe, SwiftShader, WARP.
    Software,
    /// The processor itself, with kernels translated to native code: no driver.
    Cpu,
    /// Unknown to the driver.
    Other,
}

/// The limits and preferences of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest binding of a storage buffer, in bytes.
    pub max_binding_bytes: u64,
    /// The largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// The maximum number of workgroups along one axis of a dispatch.
    pub max_workgroups: u32,
    /// The alignment of a bound range's start, in bytes.
    pub binding_align: u64,
    /// Whether kernels without native code ([`Kernel::native`](crate::Kernel::native)) can run. In these kernels an
    /// invocation loads four adjacent values at once, which is as fast as one value on GPUs. On the processor, adjacent
    /// invocations form a vector and should load adjacent values.
    pub gpu_kernels: bool,
    /// The smallest and the largest subgroup size, if kernels can use subgroups.
    pub subgroup_sizes: Option<[u32; 2]>,
}

impl Limits {
    /// The limits of every WebGPU device.
    pub const WEBGPU: Limits = Limits {
        max_binding_bytes: 128 << 20,
        max_buffer_bytes: 256 << 20,
        max_workgroups: 65_535,
        binding_align: 256,
        gpu_kernels: true,
        subgroup_sizes: None,
    };

    /// The largest tensor that can be bound whole, with [`READ_PAST`](crate::READ_PAST) after it, in bytes.
    pub fn window_bytes(&self) -> u64 {
        self.max_binding_bytes.saturating_sub(READ_PAST) & !15
    }
}
