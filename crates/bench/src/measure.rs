//! How long an op takes, and what share of the device's peak that is.

use std::time::Duration;

use kiln::graph::Timing;
use kiln::{Alone, Device, Result};
use serde::Serialize;

use crate::peak::Peak;
use crate::workloads::Workload;

/// As many samples are taken; their median counts.
const SAMPLES: u32 = 7;
/// The most runs of a sample: more would not make it better.
const MOST_RUNS: f64 = 4096.0;

/// What an op was measured to take.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Op, network and layer: `conv2d/lenet.conv1`.
    pub id: String,
    /// The first two shapes that go in: `128x28x28x1 5x5x1x20`.
    pub shapes: String,
    /// Seconds of one run.
    pub seconds: f64,
    /// Floating-point operations of one run; 0 where memory traffic is what counts.
    pub flops: u64,
    /// Bytes of the tensors that a run takes and gives; what it rewrites counts twice.
    pub bytes: u64,
}

impl Measured {
    /// What one run of a workload was measured to take.
    pub fn new(workload: &Workload, alone: &Alone, seconds: f64) -> Measured {
        let (id, shapes) = (workload.id(), workload.shapes());
        Measured { id, shapes, seconds, flops: alone.flops(), bytes: alone.bytes() }
    }

    /// Floating-point operations per second, or, where memory traffic is what counts, bytes per second; and its unit,
    /// with the prefix giga.
    pub fn rate(&self) -> (f64, &'static str) {
        match self.flops {
            0 => (self.bytes as f64 / self.seconds, "GB/s"),
            flops => (flops as f64 / self.seconds, "GFLOP/s"),
        }
    }

    /// [`Measured::rate`] as a share of the device's peak. May exceed 1 where tensors stay in a cache.
    pub fn share(&self, peak: &Peak) -> f64 {
        let most = if self.flops == 0 { peak.bytes_per_second } else { peak.flops_per_second };
        self.rate().0 / most
    }

    /// The heading of a table of [`Measured::line`]s.
    pub fn heading() -> String {
        format!("{:<54} {:<30} {:>9} {:>16} {:>7}", "op/network.layer", "shape", "ms", "rate", "of peak")
    }

    /// A line of a table.
    pub fn line(&self, peak: &Peak) -> String {
        let ((rate, unit), share) = (self.rate(), 100.0 * self.share(peak));
        let (id, shapes, ms) = (&self.id, &self.shapes, self.seconds * 1e3);
        format!("{id:<54} {shapes:<30} {ms:>9.3} {:>8.1} {unit:<7} {share:>5.0} %", rate * 1e-9)
    }
}

/// Times an op for about as long as `budget` says, but at least twice. By the device's clock, if it has one; else by the
/// host's, over several runs per submission.
///
/// # Errors
/// When the device fails, or cannot run the op.
pub fn measure(device: &Device, workload: &Workload, budget: Duration) -> Result<(Measured, Timing)> {
    let mut alone = workload.on(device)?;
    alone.run(1)?;
    let once = alone.run(1)?.as_secs_f64().max(1e-9);
    let runs = |seconds: f64| (seconds / once).clamp(1.0, MOST_RUNS) as u64;
    let whole = budget.as_secs_f64();
    let profile = alone.profile(runs(whole).min(64))?;
    let seconds = match profile.timing {
        Timing::Timestamps => profile.seconds(),
        Timing::WallClock => {
            let times = runs(whole / f64::from(SAMPLES));
            let samples = SAMPLES.min(runs(whole) as u32);
            let mut seconds = Vec::new();
            for _ in 0..samples {
                seconds.push(alone.run(times)?.as_secs_f64() / times as f64);
            }
            seconds.sort_by(f64::total_cmp);
            seconds[seconds.len() / 2]
        }
    };
    Ok((Measured::new(workload, &alone, seconds), profile.timing))
}
