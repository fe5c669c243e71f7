//! The state shared by all objects of a device.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_graph::{Algorithms, DeviceError, DeviceInfo, DeviceKind, Limits};

use crate::options::Options;
use crate::processor;
use crate::team::Team;

/// 16 GiB less a little: kernels count words with a `u32`, and also the first word behind a tensor.
const MAX_BINDING_BYTES: u64 = (1 << 34) - 256;

/// The processor's name, limits and threads, with [`Options::default`] (one thread if `KILN_THREADS` is invalid, so that
/// devices can be listed).
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
        cooperative_matrices: false,
        algorithms: Algorithms::Fast,
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

    /// Waits for our turn: the holder of the team has exclusive access to the device's memory.
    pub(crate) fn turn(&self) -> MutexGuard<'_, Team> {
        // A panic in an earlier turn leaves incomplete results, but no invalid state.
        self.team.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn invalid(&self, message: impl Into<String>) -> DeviceError {
        DeviceError::Invalid { device: self.info.name.clone(), message: message.into() }
    }
}
