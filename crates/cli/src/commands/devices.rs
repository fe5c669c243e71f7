//! `kiln devices`: what Kiln can compute on.

use std::process::ExitCode;

use kiln::Device;
use kiln::graph::DeviceInfo;
use serde_json::{Value, json};

use crate::error::Error;

/// List the devices that Kiln can compute on.
///
/// The best comes first. The number, part of a GPU's name or interface (vulkan), or cpu for the processor is what
/// --device and KILN_DEVICE take.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln devices
  KILN_DEVICE=nvidia kiln devices      # also shows whether that one can be used")]
pub struct Arguments {}

pub fn run(_: &Arguments) -> Result<ExitCode, Error> {
    for (index, device) in Device::all().iter().enumerate() {
        super::show(&format!("{index}  {}\n", row(device)));
    }
    super::show(&format!("\nby default: {}\n", Device::best()?.info().name));
    Ok(ExitCode::SUCCESS)
}

/// The device that `--device` means; without it, the default one.
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
