//! Plans on the processor, with hand-written kernels in the form that kiln-build generates.

#![allow(clippy::unwrap_used, clippy::panic)]

mod errors;
mod kernels;
mod profiles;
mod programs;

use std::sync::Arc;

use kiln_cpu::{CpuDevice, Options};
use kiln_graph::{Device, DeviceBuffer, Plan, ReadBack, Step};

/// A device with this many threads.
fn device(threads: usize) -> CpuDevice {
    CpuDevice::new(Options { threads: Some(threads), ..Options::default() }).unwrap()
}

/// A buffer of `device` that holds `values`.
fn buffer(device: &CpuDevice, values: &[f32]) -> Arc<dyn DeviceBuffer> {
    let buffer = device.allocate("values", 4 * values.len() as u64).unwrap();
    buffer.write(0, bytemuck::cast_slice(values)).unwrap();
    buffer
}

fn all(buffer: &Arc<dyn DeviceBuffer>) -> Option<ReadBack<'_>> {
    Some(ReadBack { buffer, offset: 0, bytes: buffer.bytes() })
}

fn values(buffer: &Arc<dyn DeviceBuffer>) -> Vec<f32> {
    floats(&buffer.read(0, buffer.bytes()).unwrap())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
}

/// Runs a plan for these steps and returns the contents of its last buffer.
fn run(device: &CpuDevice, plan: &Plan, buffers: &[Arc<dyn DeviceBuffer>], steps: &[Step]) -> Vec<f32> {
    let mut program = device.program(plan, buffers).unwrap();
    let pending = program.run(steps, all(buffers.last().unwrap())).unwrap();
    floats(&pending.wait().unwrap())
}
