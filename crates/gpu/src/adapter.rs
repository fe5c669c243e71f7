//! The list of adapters and the choice of one.

use std::fmt;

use kiln_graph::{Algorithms, DeviceError, DeviceInfo, DeviceKind, Limits, block_on};

/// The choice of an adapter from the list of [`adapters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// The first one: a discrete GPU if there is one.
    #[default]
    Best,
    /// The first one whose name or backend contains this text, upper or lower case: `nvidia`, `llvmpipe`, `vulkan`.
    Name(String),
    /// The adapter at this index.
    Index(usize),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Best => f.write_str("any GPU"),
            Selector::Name(name) => f.write_str(name),
            Selector::Index(index) => write!(f, "{index}"),
        }
    }
}

/// All adapters behind Vulkan, Metal and DX12: discrete GPUs first, then integrated, virtual and unknown ones, then
/// software drivers. A GPU appears once per backend, and not at all without a driver.
pub async fn adapters_async() -> Vec<DeviceInfo> {
    let info = |adapter: &wgpu::Adapter| {
        let limits = adapter.limits();
        info(&adapter.get_info(), &limits, adapter.features(), has_cooperative_matrices(adapter, &limits))
    };
    enumerate().await.iter().map(info).collect()
}

/// As [`adapters_async`], and waits.
pub fn adapters() -> Vec<DeviceInfo> {
    block_on(adapters_async())
}

/// The adapter that `selector` means.
pub(crate) async fn select(selector: &Selector) -> Result<wgpu::Adapter, DeviceError> {
    let mut adapters = enumerate().await;
    let infos: Vec<wgpu::AdapterInfo> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    let place = match selector {
        Selector::Best => (!adapters.is_empty()).then_some(0),
        Selector::Name(name) => {
            let wanted = name.to_lowercase();
            infos.iter().position(|info| format!("{} {:?}", info.name, info.backend).to_lowercase().contains(&wanted))
        }
        Selector::Index(index) => (*index < adapters.len()).then_some(*index),
    };
    match place {
        Some(place) => Ok(adapters.swap_remove(place)),
        None => {
            let found = infos.iter().enumerate().map(|(i, info)| format!("{i}: {} ({:?})", info.name, info.backend));
            Err(DeviceError::NotFound { wanted: selector.to_string(), found: found.collect() })
        }
    }
}

/// The features of kernels with cooperative matrices.
pub(crate) const COOPERATIVE_MATRICES: wgpu::Features =
    wgpu::Features::SHADER_F16.union(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

/// Whether a device of an adapter, with these limits, can have [`Limits::cooperative_matrices`].
pub(crate) fn has_cooperative_matrices(adapter: &wgpu::Adapter, limits: &wgpu::Limits) -> bool {
    const WORKGROUP_MEMORY: u32 = 32 << 10;
    let (info, f16, f32) = (adapter.get_info(), wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32);
    let has_shape = adapter.cooperative_matrix_properties().iter().any(|shape| {
        [shape.m_size, shape.n_size, shape.k_size] == [16; 3] && shape.ab_type == f16 && shape.cr_type == f32
    });
    has_shape
        && adapter.features().contains(COOPERATIVE_MATRICES)
        && [info.subgroup_min_size, info.subgroup_max_size] == [32; 2]
        && limits.max_compute_workgroup_storage_size >= WORKGROUP_MEMORY
}

/// Kiln's description of an adapter.
pub(crate) fn info(
    adapter: &wgpu::AdapterInfo,
    limits: &wgpu::Limits,
    features: wgpu::Features,
    cooperative_matrices: bool,
) -> DeviceInfo {
    DeviceInfo {
        name: adapter.name.clone(),
        backend: format!("{:?}", adapter.backend),
        driver: format!("{} {}", adapter.driver, adapter.driver_info).trim().to_owned(),
        kind: kind(adapter.device_type),
        limits: Limits {
            // A bound range is a whole number of 32-bit words.
            max_binding_bytes: limits.max_storage_buffer_binding_size & !3,
            max_buffer_bytes: limits.max_buffer_size & !3,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            binding_align: u64::from(limits.min_storage_buffer_offset_alignment),
            gpu_kernels: true,
            subgroup_sizes: features
                .contains(wgpu::Features::SUBGROUP)
                .then_some([adapter.subgroup_min_size, adapter.subgroup_max_size]),
            cooperative_matrices,
            algorithms: Algorithms::Fast,
        },
    }
}

fn kind(device_type: wgpu::DeviceType) -> DeviceKind {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
        wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
        wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
        wgpu::DeviceType::Cpu => DeviceKind::Software,
        wgpu::DeviceType::Other => DeviceKind::Other,
    }
}

async fn enumerate() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // wgpu creates no instance if none of its backends is compiled in.
    if !wgpu::Instance::enabled_backend_features().intersects(backends) {
        return Vec::new();
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        // The default in debug builds asks for the drivers' debug layers. DX12's shader compiler then stops optimising,
        // and wgpu's own validation is there without them.
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut adapters = instance.enumerate_adapters(backends).await;
    adapters.sort_by_key(|adapter| rank(adapter.get_info().device_type));
    adapters
}

fn rank(device_type: wgpu::DeviceType) -> u8 {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}
