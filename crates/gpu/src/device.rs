//! A device: opened by Kiln, or provided by the host app.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::FutureExt;
use kiln_graph::{Device, DeviceBuffer, DeviceError, DeviceFuture, DeviceInfo, Plan, Profile, Program, Step, block_on};

use crate::adapter::{COOPERATIVE_MATRICES, Selector, has_cooperative_matrices, select};
use crate::buffer::GpuBuffer;
use crate::cache::PipelineCache;
use crate::context::Context;
use crate::program::GpuProgram;

/// The features requested where the adapter supports them.
const FEATURES: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::PIPELINE_CACHE).union(wgpu::Features::SUBGROUP);

/// The options of opening a device.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether trusted kernels ([`Kernel::trusted`](kiln_graph::Kernel::trusted)), too, check every access at run time and
    /// zero their workgroup memory; other kernels always do. True in debug builds, so that tests find accesses out of
    /// bounds. Without it, trusted kernels are up to twice as fast.
    pub checked: bool,
    /// The limits to request instead of the adapter's own. For tests of smaller devices.
    pub limits: Option<wgpu::Limits>,
    /// The folder of compiled pipelines for other processes, where the backend supports it (Vulkan). Drivers trust its
    /// content: nobody else should be able to write it.
    pub cache: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options { checked: cfg!(debug_assertions), limits: None, cache: None }
    }
}

/// The buffers created on a device since it was opened, including its own for parameters, steps and read-back. Two equal
/// readings mean that nothing was allocated between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocations {
    /// The number of buffers.
    pub buffers: u64,
    /// Their total size in bytes.
    pub bytes: u64,
}

/// A wgpu device that runs plans. Clones are the same device.
#[derive(Clone, Debug)]
pub struct GpuDevice {
    pub(crate) context: Arc<Context>,
    /// `None` for an app's own device.
    adapter: Option<wgpu::Adapter>,
}

impl GpuDevice {
    /// Opens the selected adapter with all of its limits.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], or [`DeviceError::Invalid`] when the driver refuses, for example limits beyond its own.
    pub async fn request(selector: &Selector, options: Options) -> Result<GpuDevice, DeviceError> {
        GpuDevice::request_of(select(selector).await?, options).await
    }

    /// As [`GpuDevice::request`], and waits.
    ///
    /// # Errors
    /// As [`GpuDevice::request`].
    pub fn open(selector: &Selector, options: Options) -> Result<GpuDevice, DeviceError> {
        block_on(GpuDevice::request(selector, options))
    }

    async fn request_of(adapter: wgpu::Adapter, options: Options) -> Result<GpuDevice, DeviceError> {
        let required_limits = options.limits.clone().unwrap_or_else(|| adapter.limits());
        let has_cooperative_matrices = has_cooperative_matrices(&adapter, &required_limits);
        match GpuDevice::request_with(&adapter, &options, &required_limits, has_cooperative_matrices).await {
            // Without the experimental feature.
            Err(_) if has_cooperative_matrices => {
                GpuDevice::request_with(&adapter, &options, &required_limits, false).await
            }
            opened => opened,
        }
    }

    async fn request_with(
        adapter: &wgpu::Adapter,
        options: &Options,
        required_limits: &wgpu::Limits,
        cooperative_matrices: bool,
    ) -> Result<GpuDevice, DeviceError> {
        let (more, experimental_features) = match cooperative_matrices {
            // SAFETY: the only experimental feature, of kernels in Kiln's own shaders that mixed precision selects; they
            // keep the extension's rules: full subgroups load, multiply and store within workgroup memory.
            true => (COOPERATIVE_MATRICES, unsafe { wgpu::ExperimentalFeatures::enabled() }),
            false => (wgpu::Features::empty(), wgpu::ExperimentalFeatures::disabled()),
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("kiln"),
            required_features: (adapter.features() & FEATURES) | more,
            experimental_features,
            required_limits: required_limits.clone(),
            // Few large buffers: large memory blocks would be wasted.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| DeviceError::Invalid {
            device: adapter.get_info().name,
            message: format!("cannot be opened: {error}"),
        })?;
        let folder = options.cache.as_deref();
        let cache = folder.and_then(|folder| PipelineCache::open(&device, &adapter.get_info(), folder));
        let context = Context::new(device, queue, options.checked, cache, cooperative_matrices);
        context.install_callbacks();
        Ok(GpuDevice { context: Arc::new(context), adapter: Some(adapter.clone()) })
    }

    /// An app's own device: models share it with the app's rendering. Respects the limits and features that the app
    /// requested ([`wgpu::Features::TIMESTAMP_QUERY`] makes profiles exact,
    /// [`wgpu::Features::SUBGROUP`] allows faster kernels). Cooperative matrices, which wgpu calls experimental, are not used.
    ///
    /// `checked` is [`Options::checked`].
    ///
    /// The app's callbacks for errors and loss stay as they are: Kiln catches its own errors in error scopes. While an
    /// executor awaits Kiln's futures, a thread of Kiln's polls the device, and callbacks of the app run on it, too.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue, checked: bool) -> GpuDevice {
        GpuDevice { context: Arc::new(Context::new(device, queue, checked, None, false)), adapter: None }
    }

    /// The underlying device.
    pub fn wgpu_device(&self) -> &wgpu::Device {
        &self.context.device
    }

    /// The queue on which Kiln submits.
    pub fn wgpu_queue(&self) -> &wgpu::Queue {
        &self.context.queue
    }

    /// The allocations so far.
    pub fn allocations(&self) -> Allocations {
        Allocations {
            buffers: self.context.buffers_made.load(Ordering::Relaxed),
            bytes: self.context.bytes_made.load(Ordering::Relaxed),
        }
    }
}

impl Device for GpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.context.info
    }

    fn allocate(&self, label: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        Ok(Arc::new(GpuBuffer::new(&self.context, label, bytes)?))
    }

    fn program_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
    ) -> DeviceFuture<'a, Box<dyn Program>> {
        let program = GpuProgram::new(&self.context, plan, buffers);
        program.map(|program| Ok(Box::new(program?) as Box<dyn Program>)).boxed()
    }

    fn with_binding_limit(&self, bytes: u64) -> Result<Arc<dyn Device>, DeviceError> {
        let Some(adapter) = self.adapter.clone() else {
            return Err(self.context.invalid("an app's own device was given, expected one that Kiln opened"));
        };
        // wgpu itself enforces the requested limits.
        let mut limits = self.context.limits.clone();
        limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(bytes);
        let options = Options { checked: self.context.checked, limits: Some(limits), cache: None };
        Ok(Arc::new(block_on(GpuDevice::request_of(adapter, options))?))
    }

    fn profile_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
        steps: &'a [Step],
    ) -> DeviceFuture<'a, Profile> {
        self.time_calls(plan, buffers, steps).boxed()
    }
}
