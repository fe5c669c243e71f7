//! Kernels compiled for a device, each once.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use futures::channel::oneshot::Receiver;
use futures::future::try_join_all;
use kiln_graph::{Access, DeviceError, Kernel, PlannedCall, Step};

use crate::cache::PipelineCache;
use crate::context::{Context, causes, lock};
use crate::jobs;

/// Uniform buffers are bound in whole 16-byte units.
pub(crate) fn uniform_bytes(bytes: u64) -> u64 {
    bytes.next_multiple_of(16)
}

/// The identity of a pipeline. Sources are compared as text: a constant may have several addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: &'static str,
    entry_point: &'static str,
    checked: bool,
    /// Values as bits.
    overrides: Vec<(&'static str, u64)>,
}

impl Key {
    fn of(context: &Context, call: &PlannedCall) -> Key {
        let overrides = call.overrides.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        let kernel = call.kernel;
        Key { source: kernel.source, entry_point: kernel.entry_point, checked: is_checked(context, kernel), overrides }
    }

    /// The key of its shader module.
    fn module(&self) -> ModuleKey {
        (self.source, self.checked)
    }
}

/// The source of a shader module, and whether it has run-time checks: kernels of one source may differ in trust.
type ModuleKey = (&'static str, bool);

/// Whether a kernel runs with wgpu's run-time checks: all of them on a checked device, else those that are not trusted.
fn is_checked(context: &Context, kernel: &Kernel) -> bool {
    context.checked || !kernel.is_trusted()
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) raw: wgpu::ComputePipeline,
    /// The layout of group 0.
    pub(crate) group: wgpu::BindGroupLayout,
}

/// The pipelines of a device.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    modules: Mutex<HashMap<ModuleKey, wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Key, Arc<Pipeline>>>,
    step_layout: OnceLock<wgpu::BindGroupLayout>,
}

impl Pipelines {
    /// One pipeline per call. New ones are compiled in parallel, because drivers are slow.
    pub(crate) async fn of(context: &Arc<Context>, calls: &[PlannedCall]) -> Result<Vec<Arc<Pipeline>>, DeviceError> {
        let cached = &context.pipelines;
        let keys: Vec<Key> = calls.iter().map(|call| Key::of(context, call)).collect();
        let mut missing: HashMap<&Key, &PlannedCall> = keys.iter().zip(calls).collect();
        missing.retain(|key, _| !lock(&cached.pipelines).contains_key(key));

        let mut kernels: HashMap<ModuleKey, &'static Kernel> =
            missing.iter().map(|(key, call)| (key.module(), call.kernel)).collect();
        kernels.retain(|module, _| !lock(&cached.modules).contains_key(module));
        let compile_module = |&kernel: &&'static Kernel| {
            let context = context.clone();
            move || compile_module(&context, kernel)
        };
        let modules = joined(context, jobs::spawn(kernels.values().map(compile_module))).await?;
        lock(&cached.modules).extend(kernels.into_keys().zip(modules));

        let step_layout = cached.step_layout(context)?;
        let mut compilations = Vec::with_capacity(missing.len());
        for (key, call) in &missing {
            let module = lock(&cached.modules).get(&key.module()).cloned();
            let module = module.ok_or_else(|| shader_error(context, call.kernel, "its module is missing"))?;
            let compilation = Compilation { kernel: call.kernel, overrides: call.overrides.clone(), module };
            let (context, step_layout) = (context.clone(), step_layout.clone());
            compilations.push(move || compilation.pipeline(&context, &step_layout));
        }
        let made = joined(context, jobs::spawn(compilations)).await?;

        if let Some(cache) = context.cache.as_ref().filter(|_| !missing.is_empty()) {
            cache.save();
        }
        let mut pipelines = lock(&cached.pipelines);
        pipelines.extend(missing.into_keys().cloned().zip(made.into_iter().map(Arc::new)));
        Ok(keys.iter().filter_map(|key| pipelines.get(key).cloned()).collect())
    }

    /// The layout of group 1: one [`Step`] at a dynamic offset.
    pub(crate) fn step_layout(&self, context: &Context) -> Result<&wgpu::BindGroupLayout, DeviceError> {
        if let Some(layout) = self.step_layout.get() {
            return Ok(layout);
        }
        let entries = [uniform_entry(0, size_of::<Step>() as u64, true)];
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some("step"), entries: &entries };
        let layout = context.attempt("step", || context.device.create_bind_group_layout(&descriptor))?;
        Ok(self.step_layout.get_or_init(|| layout))
    }
}

/// The results of all jobs, or the first error.
async fn joined<T>(context: &Context, results: Vec<Receiver<Result<T, DeviceError>>>) -> Result<Vec<T>, DeviceError> {
    let ended = || Err(context.invalid("a thread that compiles kernels has ended before its time"));
    try_join_all(results.into_iter().map(|result| async { result.await.unwrap_or_else(|_| ended()) })).await
}

fn compile_module(context: &Context, kernel: &Kernel) -> Result<wgpu::ShaderModule, DeviceError> {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(kernel.name),
        source: wgpu::ShaderSource::Wgsl(kernel.source.into()),
    };
    attempt_shader(context, kernel, || {
        if is_checked(context, kernel) {
            context.device.create_shader_module(descriptor)
        } else {
            // SAFETY: without its checks a shader must not index out of bounds or loop for ever. Whoever called the
            // unsafe `Kernel::trusted` promised that this one does not.
            unsafe { context.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        }
    })
}

/// A kernel with the values of its overrides, to be compiled.
struct Compilation {
    kernel: &'static Kernel,
    overrides: Vec<(&'static str, f64)>,
    module: wgpu::ShaderModule,
}

impl Compilation {
    fn pipeline(&self, context: &Context, step_layout: &wgpu::BindGroupLayout) -> Result<Pipeline, DeviceError> {
        let start = Instant::now();
        let kernel = self.kernel;
        let label = Some(kernel.name);
        let device = &context.device;
        let mut entries: Vec<wgpu::BindGroupLayoutEntry> = kernel
            .bindings
            .iter()
            .map(|binding| {
                let read_only = binding.access == Access::Read;
                entry(binding.binding, wgpu::BufferBindingType::Storage { read_only }, None, false)
            })
            .collect();
        entries.extend(kernel.params.map(|params| uniform_entry(params.binding, u64::from(params.bytes), false)));
        let pipeline = attempt_shader(context, kernel, || {
            let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
            let groups: &[_] = if kernel.step { &[Some(&group), Some(step_layout)] } else { &[Some(&group)] };
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label,
                bind_group_layouts: groups,
                immediate_size: 0,
            });
            let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label,
                layout: Some(&layout),
                module: &self.module,
                entry_point: Some(kernel.entry_point),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &self.overrides,
                    zero_initialize_workgroup_memory: is_checked(context, kernel),
                },
                cache: context.cache.as_ref().map(PipelineCache::raw),
            });
            Pipeline { raw, group }
        })?;
        tracing::debug!(kernel = kernel.name, ms = start.elapsed().as_secs_f64() * 1e3, "compile pipeline");
        Ok(pipeline)
    }
}

fn uniform_entry(binding: u32, bytes: u64, has_dynamic_offset: bool) -> wgpu::BindGroupLayoutEntry {
    let size = NonZeroU64::new(uniform_bytes(bytes));
    entry(binding, wgpu::BufferBindingType::Uniform, size, has_dynamic_offset)
}

fn entry(
    binding: u32,
    ty: wgpu::BufferBindingType,
    min_binding_size: Option<NonZeroU64>,
    has_dynamic_offset: bool,
) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size },
        count: None,
    }
}

/// As [`Context::attempt`], with errors of the kernel.
fn attempt_shader<T>(context: &Context, kernel: &Kernel, f: impl FnOnce() -> T) -> Result<T, DeviceError> {
    context.attempt_or(kernel.name, f, |error| match error {
        wgpu::Error::OutOfMemory { .. } => {
            let what = format!("{} cannot be compiled", kernel.name);
            DeviceError::OutOfMemory { device: context.info.name.clone(), what }
        }
        error => shader_error(context, kernel, causes(&error.to_string())),
    })
}

fn shader_error(context: &Context, kernel: &Kernel, message: &str) -> DeviceError {
    DeviceError::Shader {
        device: context.info.name.clone(),
        kernel: kernel.name.to_owned(),
        message: message.to_owned(),
    }
}
