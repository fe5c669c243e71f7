//! What a device is and what it allows.

use std::fmt;

use crate::plan::READ_PAST;

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

/// `NVIDIA H100 (Vulkan; driver NVIDIA 550.54)`
impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceInfo { name, backend, driver, .. } = self;
        let mark = if driver.is_empty() { "" } else { "; driver " };
        write!(f, "{name} ({backend}{mark}{driver})")
    }
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

/// `GPU`, `integrated GPU`, `the processor itself`
impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::DiscreteGpu => "GPU",
            DeviceKind::IntegratedGpu => "integrated GPU",
            DeviceKind::VirtualGpu => "virtual GPU",
            DeviceKind::Cpu => "the processor itself",
            DeviceKind::Software => "software on the processor",
            DeviceKind::Other => "of unknown kind",
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_prints_with_its_driver_if_it_has_one() {
        let [name, backend, driver] = ["H100", "Vulkan", "550.54"].map(str::to_owned);
        let info = DeviceInfo { name, backend, driver, kind: DeviceKind::DiscreteGpu, limits: Limits::WEBGPU };
        assert_eq!(info.to_string(), "H100 (Vulkan; driver 550.54)");
        assert_eq!(DeviceInfo { driver: String::new(), ..info }.to_string(), "H100 (Vulkan)");
    }
}
