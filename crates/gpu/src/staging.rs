//! Reusable host-visible buffers for read-back.

use std::sync::Mutex;

use kiln_graph::DeviceError;

use crate::context::{Context, lock};

/// Larger ones are freed after use: a model's weights are read once, its metrics all the time.
const KEEP_BYTES: u64 = 1 << 20;

/// Unused staging buffers. A steady loop of runs reuses them and allocates none.
#[derive(Debug, Default)]
pub(crate) struct Ring(Mutex<Vec<wgpu::Buffer>>);

impl Ring {
    /// An unmapped buffer of at least `bytes` bytes.
    pub(crate) fn take(&self, context: &Context, bytes: u64) -> Result<wgpu::Buffer, DeviceError> {
        let mut free = lock(&self.0);
        if let Some(found) = free.iter().position(|buffer| buffer.size() >= bytes) {
            return Ok(free.swap_remove(found));
        }
        drop(free);
        let size = if bytes > KEEP_BYTES { bytes } else { bytes.next_power_of_two().max(256) };
        context.buffer("read back", size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    /// Returns a mapped buffer.
    pub(crate) fn give(&self, context: &Context, buffer: wgpu::Buffer) {
        let unmapped = context.attempt("unmap", || buffer.unmap()).is_ok();
        if unmapped && buffer.size() <= KEEP_BYTES {
            lock(&self.0).push(buffer);
        }
    }
}
