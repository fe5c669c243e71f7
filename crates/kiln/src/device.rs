//! Devices, on which models run.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use kiln_cpu::CpuDevice;
use kiln_gpu::{GpuDevice, Selector, adapters_async, wgpu};
use kiln_graph::{Algorithms, DeviceError, DeviceInfo, DeviceKind, Graph, Limits, Plan, block_on};

use crate::Error;
use crate::tuning::{Tune, Tuning};

/// The environment variable that selects [`Device::best`], in the format of [`Device::named`].
pub const DEVICE_VARIABLE: &str = "KILN_DEVICE";

/// The environment variable for the algorithms of devices without [`Device::with_algorithms`]: `fast`, the default, or
/// `direct` ([`Algorithms`]).
pub const ALGORITHMS_VARIABLE: &str = "KILN_ALGORITHMS";

/// A device that runs models. Clones share the device.
#[derive(Clone)]
pub struct Device {
    runs: Arc<dyn kiln_graph::Device>,
    tuning: Arc<Tuning>,
    /// Overrides the environment variable.
    algorithms: Option<Algorithms>,
    /// Whether its limits are below WebGPU's defaults.
    weak: bool,
}

impl Device {
    /// The device selected by `KILN_DEVICE`, else a GPU if there is one, else the processor. Software drivers do not
    /// count as GPUs: the processor itself runs the same kernels several times faster.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`] if there is no such device; [`DeviceError::Invalid`] if its driver refuses.
    pub fn best() -> Result<Device, DeviceError> {
        Device::named(&std::env::var(DEVICE_VARIABLE).unwrap_or_default())
    }

    /// The first GPU whose name contains this text, ignoring case: `nvidia`. Includes software drivers.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub fn gpu(name: &str) -> Result<Device, DeviceError> {
        block_on(Device::open(&Selector::Name(name.to_owned())))
    }

    /// The processor, with kernels translated to native code. `KILN_THREADS` sets the number of threads, by default one
    /// per core.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] if `KILN_THREADS` is not a number of threads.
    pub fn cpu() -> Result<Device, DeviceError> {
        Ok(Device::new(Arc::new(CpuDevice::new(kiln_cpu::Options::default())?)))
    }

    /// The device at this index in [`Device::all`].
    ///
    /// # Errors
    /// As [`Device::best`].
    pub fn by_index(index: usize) -> Result<Device, DeviceError> {
        Device::named(&index.to_string())
    }

    /// Opens the device selected by a text, as in `KILN_DEVICE`: an index in [`Device::all`], `cpu` for the processor, part
    /// of a GPU's name or backend, or an empty text for the first.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub async fn request(text: &str) -> Result<Device, DeviceError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("cpu") {
            return Device::cpu();
        }
        let all = Device::all_async().await;
        let index = if text.is_empty() { Some(0) } else { text.parse().ok() };
        let not_found = || DeviceError::NotFound {
            wanted: text.to_owned(),
            found: all.iter().enumerate().map(|(i, info)| format!("{i}: {} ({})", info.name, info.backend)).collect(),
        };
        let cpu = all.iter().position(|info| info.kind == DeviceKind::Cpu);
        match index {
            Some(index) if Some(index) == cpu => Device::cpu(),
            Some(index) if index >= all.len() => Err(not_found()),
            Some(index) => {
                let before = usize::from(cpu.is_some_and(|cpu| index > cpu));
                Device::open(&Selector::Index(index - before)).await
            }
            None => Device::open(&Selector::Name(text.to_owned())).await.map_err(|error| match error {
                DeviceError::NotFound { .. } => not_found(),
                other => other,
            }),
        }
    }

    /// As [`Device::request`], and waits.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub fn named(text: &str) -> Result<Device, DeviceError> {
        block_on(Device::request(text))
    }

    /// All devices: GPUs, best first, then the processor, then software drivers.
    pub async fn all_async() -> Vec<DeviceInfo> {
        let mut all = adapters_async().await;
        all.insert(place_of_cpu(&all), kiln_cpu::info());
        all
    }

    /// As [`Device::all_async`], and waits.
    pub fn all() -> Vec<DeviceInfo> {
        block_on(Device::all_async())
    }

    /// The device of an app that uses wgpu itself: models share it with the app's rendering. Respects the limits requested
    /// by the app. If these are below WebGPU's defaults, [`Model::compile`](crate::Model::compile) and
    /// [`Model::to_device`](crate::Model::to_device) compile the model's kernels immediately, and return an error if one
    /// exceeds the limits.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Device {
        let weak = !wgpu::Limits::default().check_limits(&device.limits());
        let checked = kiln_gpu::Options::default().checked;
        Device { weak, ..Device::new(Arc::new(GpuDevice::from_wgpu(device, queue, checked))) }
    }

    /// Whether its limits are below WebGPU's defaults.
    pub(crate) fn has_weak_limits(&self) -> bool {
        self.weak
    }

    /// A custom device.
    pub fn from_dyn(device: Arc<dyn kiln_graph::Device>) -> Device {
        Device::new(device)
    }

    fn new(runs: Arc<dyn kiln_graph::Device>) -> Device {
        let tuning = Arc::new(Tuning::of(runs.info()));
        Device { runs, tuning, algorithms: None, weak: false }
    }

    /// Overrides `KILN_TUNE`. Measurements are cached in a file of this folder, or only as long as the device lives.
    pub fn with_tuning(&self, tune: Tune, folder: Option<&Path>) -> Device {
        let tuning = Arc::new(Tuning::new(Some(tune), folder, self.info()));
        Device { tuning, ..self.clone() }
    }

    /// The plan of a graph for this device, with the fastest kernels as set by `KILN_TUNE` ([`Tune`]).
    ///
    /// # Errors
    /// If an op cannot run within the device's limits, or `KILN_TUNE` has an unknown value.
    pub fn plan(&self, graph: &Graph) -> crate::Result<Plan> {
        self.tuning.plan(self, graph)
    }

    /// Reopens this device with bindings of at most `bytes` bytes, to test smaller devices, on which large tensors are
    /// split into windows. On a GPU, wgpu enforces the limit.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] for a device that was not opened by Kiln.
    pub fn with_binding_limit(&self, bytes: u64) -> Result<Device, DeviceError> {
        let device = self.runs.with_binding_limit(bytes).map(Device::new)?;
        Ok(Device { algorithms: self.algorithms, ..device })
    }

    /// Overrides `KILN_ALGORITHMS`. Algorithms differ in speed and in rounding: a training run that is repeated or resumed
    /// bit for bit needs the same ones. [`Device::limits`] has them, the limits in [`Device::info`] do not.
    pub fn with_algorithms(&self, algorithms: Algorithms) -> Device {
        Device { algorithms: Some(algorithms), ..self.clone() }
    }

    /// The limits and preferences for plans: the device's own, with its algorithms.
    ///
    /// # Errors
    /// If `KILN_ALGORITHMS` has an unknown value.
    pub fn limits(&self) -> crate::Result<Limits> {
        let from_environment = || match std::env::var(ALGORITHMS_VARIABLE).unwrap_or_default().trim() {
            "" | "fast" => Ok(Algorithms::Fast),
            "direct" => Ok(Algorithms::Direct),
            found => Err(Error::Argument {
                name: ALGORITHMS_VARIABLE,
                expected: "fast or direct".to_owned(),
                found: found.to_owned(),
            }),
        };
        let algorithms = self.algorithms.map_or_else(from_environment, Ok)?;
        Ok(Limits { algorithms, ..self.info().limits })
    }

    /// Name, backend, driver and limits.
    pub fn info(&self) -> &DeviceInfo {
        self.runs.info()
    }

    /// The device that runs plans.
    pub fn as_dyn(&self) -> &Arc<dyn kiln_graph::Device> {
        &self.runs
    }

    async fn open(selector: &Selector) -> Result<Device, DeviceError> {
        let options = kiln_gpu::Options { cache: crate::cache_folder("pipelines"), ..kiln_gpu::Options::default() };
        Ok(Device::new(Arc::new(GpuDevice::request(selector, options).await?)))
    }
}

/// The index of the processor among the devices: after the GPUs, before software drivers.
fn place_of_cpu(gpus: &[DeviceInfo]) -> usize {
    gpus.iter().position(|info| info.kind == DeviceKind::Software).unwrap_or(gpus.len())
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.info().name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_processor_is_there_and_answers_to_its_name_and_place() {
        let all = Device::all();
        let place = all.iter().position(|info| info.kind == DeviceKind::Cpu).unwrap();
        for text in ["cpu", " CPU ", &place.to_string()] {
            assert_eq!(Device::named(text).unwrap().info().kind, DeviceKind::Cpu, "{text}");
        }
        assert!(all[place + 1..].iter().all(|info| info.kind == DeviceKind::Software));
    }

    #[test]
    fn a_name_that_nothing_has_is_an_error_that_lists_what_there_is() {
        for text in ["no such device", "999"] {
            let error = Device::named(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("(CPU)"), "{error}");
        }
    }
}
