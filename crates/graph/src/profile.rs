//! How long each call of a plan takes: what every device's profile gives.

use std::fmt;

/// How times were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// By the device's clock, around each call.
    Timestamps,
    /// By the host's clock. On a GPU that takes one submission per call, and what a submission costs is in it.
    WallClock,
}

/// The time that one call takes.
#[derive(Clone, Debug, PartialEq)]
pub struct CallTime {
    /// The scope of the node that the call comes from, usually a layer's name.
    pub scope: String,
    /// The kernel's name.
    pub kernel: &'static str,
    /// Floating-point operations that the formula needs, 0 where memory traffic is what counts.
    pub flops: u64,
    /// Seconds, the mean over the measured steps.
    pub seconds: f64,
}

/// A plan's calls in order, with the time that each takes. Prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// How times were taken.
    pub timing: Timing,
    /// One per call of the plan.
    pub calls: Vec<CallTime>,
}

impl Profile {
    /// Seconds of one step: all calls together.
    pub fn seconds(&self) -> f64 {
        self.calls.iter().map(|call| call.seconds).sum()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.seconds().max(f64::MIN_POSITIVE);
        writeln!(f, "{:<20} {:<34} {:>9} {:>6} {:>9}", "node", "kernel", "us", "%", "GFLOP/s")?;
        for CallTime { scope, kernel, flops, seconds } in &self.calls {
            let rate = if *flops > 0 { format!("{:.1}", *flops as f64 / seconds / 1e9) } else { String::new() };
            writeln!(f, "{scope:<20} {kernel:<34} {:>9.1} {:>6.1} {rate:>9}", seconds * 1e6, 100.0 * seconds / total)?;
        }
        writeln!(f, "{:<20} {:<34} {:>9.1}", "all", "", total * 1e6)
    }
}
