//! Properties and limits of devices.

use std::fmt;

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
    /// A virtualised GPU.
    VirtualGpu,
    /// A driver that computes on the processor: lavapipe, SwiftShader, WARP.
    Software,
    /// The processor itself, with kernels translated to native code: no driver.
    Cpu,
    /// Unknown to the driver.
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
    /// Whether kernels can multiply cooperative matrices (tensor cores): 16 x 16 with 16 x 16 in f16 with sums in f32, by
    /// subgroups of 32 invocations, with 32 KiB of workgroup memory. In [`Precision::Mixed`](crate::Precision::Mixed),
    /// products do, except those of few rows, of an inner axis of 1, and of tensors that are too large to bind.
    pub cooperative_matrices: bool,
    /// The algorithms that ops may use.
    pub algorithms: Algorithms,
}

/// The algorithms that ops may use. They differ in rounding, and therefore in bits. The choice between them depends on the
/// shapes of an op and the device's binding limit only, so it is the same in every run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithms {
    /// The fastest: on the processor, convolutions of 3 x 3 and 5 x 5 taps use Winograd's minimal filtering where that is
    /// faster. The error of a result is within 3e-6 of the largest result, as for direct sums. A NaN or an infinity may
    /// turn results within 5 pixels of it, or any of a gradient of weights, into NaN.
    #[default]
    Fast,
    /// Sums of the products in the definition of an op.
    Direct,
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
        cooperative_matrices: false,
        algorithms: Algorithms::Fast,
    };

    /// The largest tensor that can be bound whole, with [`READ_PAST`](crate::READ_PAST) after it, in bytes.
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
