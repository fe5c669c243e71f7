//! Where models run.

use std::fmt;
use std::sync::Arc;

use kiln_gpu::{GpuDevice, Options, Selector, adapters, wgpu};
use kiln_graph::{DeviceError, DeviceInfo};

/// The environment variable that says which device [`Device::best`] is: a place in [`Device::all`], or part of a name.
pub const DEVICE_VARIABLE: &str = "KILN_DEVICE";

/// Something that runs models. Clones are the same device.
#[derive(Clone)]
pub struct Device(Arc<dyn kiln_graph::Device>);

impl Device {
    /// The device that `KILN_DEVICE` names, else the first of [`Device::all`]: a discrete GPU if there is one.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`] when there is none, or none of that name; [`DeviceError::Invalid`] when its driver
    /// refuses.
    pub fn best() -> Result<Device, DeviceError> {
        let wanted = std::env::var(DEVICE_VARIABLE).unwrap_or_default();
        Device::open(&selector(&wanted))
    }

    /// The first device whose name contains this text, upper or lower case: `nvidia`.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub fn gpu(name: &str) -> Result<Device, DeviceError> {
        Device::open(&Selector::Name(name.to_owned()))
    }

    /// The device at this place of [`Device::all`].
    ///
    /// # Errors
    /// As [`Device::best`].
    pub fn by_index(index: usize) -> Result<Device, DeviceError> {
        Device::open(&Selector::Index(index))
    }

    /// The device that a text means, as in `KILN_DEVICE`: a place in [`Device::all`], part of a name, or nothing for
    /// the first.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub fn named(text: &str) -> Result<Device, DeviceError> {
        Device::open(&selector(text))
    }

    /// All devices, the best first.
    pub fn all() -> Vec<DeviceInfo> {
        adapters()
    }

    /// The device of an app that uses wgpu itself. Models then share it with what the app draws, and read each other's
    /// buffers without a copy. Works within the limits that the app asked for.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Device {
        Device(Arc::new(GpuDevice::from_wgpu(device, queue, Options::default().checked)))
    }

    /// A device of a kind that Kiln does not know.
    pub fn from_dyn(device: Arc<dyn kiln_graph::Device>) -> Device {
        Device(device)
    }

    /// What it is.
    pub fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    /// What runs plans.
    pub fn as_dyn(&self) -> &Arc<dyn kiln_graph::Device> {
        &self.0
    }

    fn open(selector: &Selector) -> Result<Device, DeviceError> {
        Ok(Device(Arc::new(GpuDevice::open(selector, Options::default())?)))
    }
}

fn selector(text: &str) -> Selector {
    match (text.trim(), text.trim().parse()) {
        ("", _) => Selector::Best,
        (_, Ok(index)) => Selector::Index(index),
        (name, Err(_)) => Selector::Name(name.to_owned()),
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.info().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_a_place_or_a_part_of_a_name() {
        assert_eq!(selector(""), Selector::Best);
        assert_eq!(selector(" 2 "), Selector::Index(2));
        assert_eq!(selector("llvmpipe"), Selector::Name("llvmpipe".to_owned()));
    }
}
