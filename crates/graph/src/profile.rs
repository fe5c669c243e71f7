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

    /// The same profile with one row per kernel, the slowest first; its scope says how many calls it sums.
    pub fn by_kernel(&self) -> Profile {
        let mut sums: Vec<(usize, CallTime)> = Vec::new();
        for call in &self.calls {
            match sums.iter_mut().find(|(_, sum)| sum.kernel == call.kernel) {
                Some((count, sum)) => {
                    *count += 1;
                    sum.flops += call.flops;
                    sum.seconds += call.seconds;
                }
                None => sums.push((1, call.clone())),
            }
        }
        sums.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
        let scope = |count| format!("{count} call{}", if count == 1 { "" } else { "s" });
        let calls = sums.into_iter().map(|(count, sum)| CallTime { scope: scope(count), ..sum });
        Profile { timing: self.timing, calls: calls.collect() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_kernel_sums_the_calls_of_each_kernel_and_puts_the_slowest_first() {
        let call = |scope: &str, kernel, flops, seconds| CallTime { scope: scope.to_owned(), kernel, flops, seconds };
        let calls = vec![call("a", "x", 1, 0.25), call("a", "y", 0, 0.375), call("b", "x", 2, 0.25)];
        let profile = Profile { timing: Timing::WallClock, calls };
        let expected = vec![call("2 calls", "x", 3, 0.5), call("1 call", "y", 0, 0.375)];
        assert_eq!(profile.by_kernel().calls, expected);
        assert_eq!(profile.by_kernel().seconds(), profile.seconds());
    }
}
