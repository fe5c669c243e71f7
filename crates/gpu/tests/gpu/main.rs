//! Plans on wgpu devices. Needs an adapter; a software driver is sufficient.

#![allow(clippy::unwrap_used, clippy::panic)]

mod asynchronous;
mod buffers;
mod cache;
mod devices;
mod errors;
mod kernels;
mod profiles;
mod programs;
mod trust;

use std::sync::{Arc, OnceLock};

use kiln_gpu::{GpuDevice, Options, Selector};
use kiln_graph::{Device, DeviceBuffer, Pending, ReadBack};

/// The device of all tests that do not break it: lavapipe keeps a little memory of every device that was ever opened.
fn device() -> &'static GpuDevice {
    static DEVICE: OnceLock<GpuDevice> = OnceLock::new();
    DEVICE.get_or_init(open)
}

fn open() -> GpuDevice {
    GpuDevice::open(&Selector::Best, Options::default())
        .unwrap_or_else(|error| panic!("these tests need a GPU or a software driver: {error}"))
}

/// A buffer of `device` that holds `values`.
fn buffer(device: &GpuDevice, values: &[f32]) -> Arc<dyn DeviceBuffer> {
    let buffer = device.allocate("values", 4 * values.len() as u64).unwrap();
    buffer.write(0, bytemuck::cast_slice(values)).unwrap();
    buffer
}

fn values(buffer: &Arc<dyn DeviceBuffer>) -> Vec<f32> {
    floats(&buffer.read(0, buffer.bytes()).unwrap())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}

fn all(buffer: &Arc<dyn DeviceBuffer>) -> Option<ReadBack<'_>> {
    Some(ReadBack { buffer, offset: 0, bytes: buffer.bytes() })
}

/// Waits as a program with a window would: it asks again and again.
fn poll_until_done(mut pending: Box<dyn Pending>) -> Vec<u8> {
    loop {
        if let Some(bytes) = pending.try_wait().unwrap() {
            return bytes;
        }
        std::thread::yield_now();
    }
}
