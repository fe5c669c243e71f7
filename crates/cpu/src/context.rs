//! What all objects of one device share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_graph::{DeviceError, DeviceInfo, DeviceKind, Limits};

use crate::options::Options;
use crate::processor;
use crate::team::Team;

/// 16 GiB less a little: kernels count words with a `u32`, and also the first word behind a tensor.
const MAX_BINDING_BYTES: u64 = (1 << 34) - 256;

/// What the processor is as a device, on as many threads as [`Options::default`] takes (one, where `KILN_THREADS` is no
/// number of threads, so that devices can be listed).
pub fn info() -> DeviceInfo {
    let options = Options::default();
    describe(processor::name(), options.max_lanes, options.resolve_threads().unwrap_or(1))
}

fn describe(name: String, max_lanes: u32, threads: usize) -> DeviceInfo {
    let instructions = kiln_simd::instruction_set(max_lanes);
    let driver = format!("{instructions}, {threads} thread{}", if threads == 1 { "" } else { "s" });
    let limits = Limits {
        max_binding_bytes: MAX_BINDING_BYTES,
        max_buffer_bytes: isize::MAX as u64 & !255,
        max_workgroups: Limits::WEBGPU.max_workgroups,
        binding_align: crate::allocation::ALIGN as u64,
        gpu_kernels: false,
        subgroup_sizes: None,
    };
    DeviceInfo { name, backend: "CPU".to_owned(), driver, kind: DeviceKind::Cpu, limits }
}

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) info: DeviceInfo,
    pub(crate) options: Options,
    team: Mutex<Team>,
}

impl Context {
    pub(crate) fn new(options: Options) -> Result<Context, DeviceError> {
        let name = processor::name();
        let invalid = |message| DeviceError::Invalid { device: name.clone(), message };
        let threads = options.resolve_threads().map_err(invalid)?;
        options.check_lanes().map_err(invalid)?;
        let team = Team::new(threads).map_err(invalid)?;
        let mut info = describe(name, options.max_lanes, threads);
        info.limits.max_binding_bytes = info.limits.max_binding_bytes.min(options.max_binding_bytes & !3);
        tracing::debug!(info.name, info.driver, checked = options.checked, "open device");
        Ok(Context { info, options, team: Mutex::new(team) })
    }

    /// Waits for our turn: who holds the team is alone with all memory of the device.
    pub(crate) fn turn(&self) -> MutexGuard<'_, Team> {
        // A panic while it was held leaves numbers half computed, but nothing that a later turn could stumble over.
        self.team.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn invalid(&self, message: impl Into<String>) -> DeviceError {
        DeviceError::Invalid { device: self.info.name.clone(), message: message.into() }
    }
}
