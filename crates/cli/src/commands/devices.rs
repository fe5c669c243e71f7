//! `kiln devices`: the available devices.

use std::process::ExitCode;

use kiln::Device;
use kiln::graph::DeviceInfo;
use serde_json::{Value, json};

use crate::error::Error;

/// List the devices that Kiln can use, best first.
///
/// --device and KILN_DEVICE accept the number, part of a GPU's name or of its backend's (vulkan), or cpu for the
/// processor.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln devices
  KILN_DEVICE=nvidia kiln devices      # also checks that this device can be used")]
pub struct Arguments {}

pub fn run(_: &Arguments) -> Result<ExitCode, Error> {
    for (index, device) in Device::all().iter().enumerate() {
        super::show(&format!("{index}  {}\n", row(device)));
    }
    super::show(&format!("\nby default: {}\n", Device::best()?.info().name));
    Ok(ExitCode::SUCCESS)
}

/// Opens the device selected by `--device`, or the default one.
pub fn open(wanted: Option<&str>) -> Result<Device, Error> {
    Ok(wanted.map_or_else(Device::best, Device::named)?)
}

/// A device for scripts.
pub fn json(device: &DeviceInfo) -> Value {
    json!({ "name": device.name, "backend": device.backend, "driver": device.driver })
}

fn row(device: &DeviceInfo) -> String {
    let binding = device.limits.max_binding_bytes >> 20;
    format!("{device}: {}, tensors to {binding} MiB", device.kind)
}
