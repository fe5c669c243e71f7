//! The time of each call of a plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kiln_graph::{CallTime, DeviceBuffer, DeviceError, Plan, Profile, Step, Timing};

use crate::device::CpuDevice;
use crate::program::CpuProgram;

impl CpuDevice {
    /// As [`Device::profile_async`](kiln_graph::Device::profile_async).
    pub(crate) fn time_calls(
        &self,
        plan: &Plan,
        buffers: &[Arc<dyn DeviceBuffer>],
        steps: &[Step],
    ) -> Result<Profile, DeviceError> {
        let mut program = CpuProgram::new(&self.context, plan, buffers)?;
        let (warm_up, measured) = steps.split_at(usize::from(steps.len() > 1));
        program.run_and_time(warm_up, None, None)?;
        let clock = Clock::new(plan.calls.len());
        program.run_and_time(measured, None, Some(&clock))?;
        let steps = measured.len().max(1) as f64;
        let time = |(index, call)| CallTime::new(call, clock.seconds(index) / steps);
        let calls = plan.calls.iter().enumerate().map(time);
        Ok(Profile { timing: Timing::WallClock, calls: calls.collect() })
    }
}

/// The time that each call is open, summed over steps. One call is open at a time, so one thread at a time starts or
/// stops the clock; the region synchronizes one with the next.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// Nanoseconds from `origin` to when the open call was opened.
    started: AtomicU64,
    /// Nanoseconds of each call.
    calls: Vec<AtomicU64>,
}

impl Clock {
    fn new(calls: usize) -> Clock {
        let calls = (0..calls).map(|_| AtomicU64::new(0)).collect();
        Clock { origin: Instant::now(), started: AtomicU64::new(0), calls }
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// A call is about to be opened.
    pub(crate) fn start(&self) {
        self.started.store(self.now(), Ordering::Relaxed);
    }

    /// All workgroups of this call are done.
    pub(crate) fn stop(&self, call: usize) {
        let nanoseconds = self.now().saturating_sub(self.started.load(Ordering::Relaxed));
        self.calls[call].fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn seconds(&self, call: usize) -> f64 {
        self.calls[call].load(Ordering::Relaxed) as f64 * 1e-9
    }
}
