//! The time of an op, and its share of the device's peak.

use std::time::Duration;

use kiln::graph::Timing;
use kiln::{Device, OpProgram, Result};
use serde::Serialize;

use crate::peak::Peak;
use crate::workloads::Workload;

/// The number of samples, of which the median is reported.
const SAMPLES: u32 = 7;
/// The maximum number of runs of a sample.
const MOST_RUNS: f64 = 4096.0;
/// The maximum number of runs timed by the device's clock at once.
const MOST_PROFILED: u64 = 64;

/// The measured time of an op.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Op, network and layer: `conv2d/lenet.conv1`.
    pub id: String,
    /// The shapes of the first two inputs: `128x28x28x1 5x5x1x20`.
    pub shapes: String,
    /// The kernel that did most of the work, file and entry point: `conv2d.shared_tiles`.
    pub kernel: &'static str,
    /// Seconds of one run: the median of the samples.
    pub seconds: f64,
    /// The spread of the samples: slowest minus fastest, as a share of the median.
    pub spread: f64,
    /// Floating-point operations of one run; 0 for memory-bound ops.
    pub flops: u64,
    /// Bytes of the inputs and outputs of a run; updated tensors count twice.
    pub bytes: u64,
}

impl Measured {
    /// The measured time of a workload.
    pub fn new(workload: &Workload, program: &OpProgram, samples: &Samples) -> Measured {
        let (id, shapes) = (workload.id(), workload.shapes());
        let (seconds, spread) = (samples.median(), samples.spread());
        let main = program.plan().calls.iter().max_by_key(|call| (call.flops, call.bytes()));
        let kernel = main.map_or("", |call| call.kernel.name);
        Measured { id, shapes, kernel, seconds, spread, flops: program.flops(), bytes: program.bytes() }
    }

    /// Floating-point operations per second, or bytes per second for memory-bound ops; and the unit, with the prefix
    /// giga.
    pub fn rate(&self) -> (f64, &'static str) {
        match self.flops {
            0 => (self.bytes as f64 / self.seconds, "GB/s"),
            flops => (flops as f64 / self.seconds, "GFLOP/s"),
        }
    }

    /// [`Measured::rate`] as a share of the device's peak. It may exceed 1 for products by fewer multiplications. `None` for
    /// tensors that stay in a cache, whose rate exceeds that of a copy.
    pub fn share(&self, peak: &Peak) -> Option<f64> {
        let is_product = self.flops != 0;
        let most = if is_product { peak.flops_per_second } else { peak.bytes_per_second };
        let share = self.rate().0 / most;
        (is_product || share <= 1.0).then_some(share)
    }

    /// The heading of a table of [`Measured::line`]s.
    pub fn heading() -> String {
        format!(
            "{:<54} {:<30} {:>9} {:>6} {:>16} {:>7}  {}",
            "op/network.layer", "shape", "ms", "spread", "rate", "of peak", "kernel"
        )
    }

    /// A line of a table.
    pub fn line(&self, peak: &Peak) -> String {
        let (rate, unit) = self.rate();
        let share = self.share(peak).map_or("cache".to_owned(), |share| format!("{:.0} %", 100.0 * share));
        let (id, shapes, kernel, ms) = (&self.id, &self.shapes, self.kernel, self.seconds * 1e3);
        let spread = 100.0 * self.spread;
        let rate = rate * 1e-9;
        format!("{id:<54} {shapes:<30} {ms:>9.3} {spread:>4.0} % {rate:>8.1} {unit:<7} {share:>7}  {kernel}")
    }
}

/// Times an op for about `budget`, but at least twice, by the device's clock if it has one, else by the host's over
/// several runs per submission.
///
/// # Errors
/// If the device fails or cannot run the op.
pub fn measure(device: &Device, workload: &Workload, budget: Duration) -> Result<(Measured, Timing)> {
    let mut program = workload.on(device)?;
    program.run(1)?;
    let once = program.run(1)?.as_secs_f64().max(1e-9);
    let runs = |seconds: f64| (seconds / once).clamp(1.0, MOST_RUNS) as u64;
    let whole = budget.as_secs_f64();
    let (samples, times) = (SAMPLES.min(runs(whole) as u32).max(2), runs(whole / f64::from(SAMPLES)));
    let first = program.profile(times.min(MOST_PROFILED))?;
    let timing = first.timing;
    let mut seconds = Vec::new();
    for _ in 0..samples {
        seconds.push(match timing {
            Timing::Timestamps => program.profile(times.min(MOST_PROFILED))?.seconds(),
            Timing::WallClock => program.run(times)?.as_secs_f64() / times as f64,
        });
    }
    Ok((Measured::new(workload, &program, &Samples::new(seconds)), timing))
}

/// Times of the same work, in seconds.
#[derive(Clone, Debug)]
pub struct Samples {
    sorted: Vec<f64>,
}

impl Samples {
    /// Samples from times in any order.
    pub fn new(mut seconds: Vec<f64>) -> Samples {
        seconds.sort_by(f64::total_cmp);
        Samples { sorted: seconds }
    }

    /// The median, the slower of the middle two; 0 without samples.
    pub fn median(&self) -> f64 {
        self.sorted.get(self.sorted.len() / 2).copied().unwrap_or(0.0)
    }

    /// The minimum; 0 without samples.
    pub fn fastest(&self) -> f64 {
        self.sorted.first().copied().unwrap_or(0.0)
    }

    /// The slowest minus the fastest, as a share of the median.
    pub fn spread(&self) -> f64 {
        match (self.sorted.first(), self.sorted.last()) {
            (Some(first), Some(last)) if last > first => (last - first) / self.median(),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_products_may_exceed_the_peak() {
        let peak = Peak { flops_per_second: 4e9, bytes_per_second: 2e9 };
        let measured = |flops, bytes| Measured {
            id: "op/network.layer".to_owned(),
            shapes: "2x3".to_owned(),
            kernel: "op.forward",
            seconds: 1.0,
            spread: 0.0,
            flops,
            bytes,
        };
        let shares =
            [(0, 1 << 30), (0, 1 << 32), (8_000_000_000, 1)].map(|(flops, bytes)| measured(flops, bytes).share(&peak));
        assert_eq!(shares, [Some(0.536870912), None, Some(2.0)]);
        assert!(measured(0, 1 << 32).line(&peak).ends_with("4.3 GB/s      cache  op.forward"));
    }

    #[test]
    fn a_spread_is_a_share_of_the_median() {
        let samples = Samples::new(vec![1.0, 4.0, 2.0, 2.0, 3.0]);
        assert_eq!((samples.median(), samples.fastest(), samples.spread()), (2.0, 1.0, 1.5));
        assert_eq!(Samples::new(vec![2.0, 2.0]).spread(), 0.0);
        assert_eq!((Samples::new(vec![]).median(), Samples::new(vec![]).spread()), (0.0, 0.0));
    }
}
