//! Profiles: the time of each call of a plan.

use std::fmt;

use crate::PlannedCall;

/// The clock of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// By the device's clock, around each call.
    Timestamps,
    /// By the host's clock. On a GPU, each call is a submission, whose cost is included.
    WallClock,
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Timing::Timestamps => "timestamps of the device",
            Timing::WallClock => "wall clock",
        })
    }
}

/// The time of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallTime {
    /// The scope of the call's node, usually a layer's name.
    pub scope: String,
    /// The kernel's name.
    pub kernel: &'static str,
    /// What it reads and what it writes: [`CallDescriptor::shapes`](crate::CallDescriptor::shapes).
    pub shapes: String,
    /// Floating-point operations of the formula; 0 for memory-bound kernels.
    pub flops: u64,
    /// Bytes of the tensors that it reads and writes.
    pub bytes: u64,
    /// Seconds, the mean over the measured steps.
    pub seconds: f64,
}

impl CallTime {
    /// The time of a call of a plan.
    pub fn new(call: &PlannedCall, seconds: f64) -> CallTime {
        CallTime {
            scope: call.scope.clone(),
            kernel: call.kernel.name,
            shapes: call.shapes(),
            flops: call.flops,
            bytes: call.bytes(),
            seconds,
        }
    }

    /// Floating-point operations per second in units of 10^9, if the call counts any.
    pub fn gflops(&self) -> Option<f64> {
        (self.flops > 0).then(|| self.flops as f64 / self.seconds * 1e-9)
    }

    /// Bytes per second in units of 10^9.
    pub fn gbytes(&self) -> f64 {
        self.bytes as f64 / self.seconds * 1e-9
    }
}

/// A plan's calls in order, with their times. Formats as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The clock of the times.
    pub timing: Timing,
    /// One per call of the plan.
    pub calls: Vec<CallTime>,
}

/// Adjacent calls of a profile with the same scope.
#[derive(Clone, Debug)]
pub struct LayerTime<'a> {
    /// The scope, usually a layer's name.
    pub scope: &'a str,
    /// The calls.
    pub calls: &'a [CallTime],
    /// Start in seconds, relative to the step.
    pub start: f64,
    /// The total time of the calls in seconds.
    pub seconds: f64,
}

impl Profile {
    /// The step as a sequence of layers: each layer has one part in the forward and one in the backward pass.
    pub fn layers(&self) -> Vec<LayerTime<'_>> {
        let mut start = 0.0;
        let mut layers = Vec::new();
        for calls in self.calls.chunk_by(|a, b| a.scope == b.scope) {
            let seconds = calls.iter().map(|call| call.seconds).sum();
            layers.push(LayerTime { scope: &calls[0].scope, calls, start, seconds });
            start += seconds;
        }
        layers
    }

    /// The time of one step in seconds: the sum of all calls.
    pub fn seconds(&self) -> f64 {
        self.calls.iter().map(|call| call.seconds).sum()
    }

    /// The profile by kernel, slowest first; the scope of each row is its number of calls. Shapes are omitted.
    pub fn by_kernel(&self) -> Profile {
        let mut sums: Vec<(usize, CallTime)> = Vec::new();
        for call in &self.calls {
            match sums.iter_mut().find(|(_, sum)| sum.kernel == call.kernel) {
                Some((count, sum)) => {
                    *count += 1;
                    sum.flops += call.flops;
                    sum.bytes += call.bytes;
                    sum.seconds += call.seconds;
                }
                None => sums.push((1, call.clone())),
            }
        }
        sums.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
        let scope = |count| format!("{count} call{}", if count == 1 { "" } else { "s" });
        let calls = sums.into_iter().map(|(count, sum)| CallTime { scope: scope(count), shapes: String::new(), ..sum });
        Profile { timing: self.timing, calls: calls.collect() }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.seconds().max(f64::MIN_POSITIVE);
        let heading = ["node", "kernel", "us", "%", "GFLOP/s", "GB/s"];
        let [node, kernel, us, percent, gflops, gbytes] = heading;
        let width = |least: usize, name: fn(&CallTime) -> &str| {
            self.calls.iter().map(|call| name(call).len()).fold(least, usize::max)
        };
        let (first, second) = (width(20, |call| &call.scope), width(34, |call| call.kernel));
        writeln!(f, "{node:<first$} {kernel:<second$} {us:>9} {percent:>6} {gflops:>9} {gbytes:>7}  shapes")?;
        for call in &self.calls {
            let CallTime { scope, kernel, shapes, seconds, .. } = call;
            let gflops = call.gflops().map(|rate| format!("{rate:.1}")).unwrap_or_default();
            let (us, percent, gbytes) = (seconds * 1e6, 100.0 * seconds / total, call.gbytes());
            let line = format!(
                "{scope:<first$} {kernel:<second$} {us:>9.1} {percent:>6.1} {gflops:>9} {gbytes:>7.1}  {shapes}"
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f, "{:<first$} {:<second$} {:>9.1}", "all", "", total * 1e6)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    #[test]
    fn by_kernel_sums_the_calls_of_each_kernel_and_puts_the_slowest_first() {
        let call = |scope: &str, kernel, flops, seconds| {
            let (scope, shapes) = (scope.to_owned(), String::new());
            CallTime { scope, kernel, shapes, flops, bytes: 4 * flops, seconds }
        };
        let calls = vec![call("a", "x", 1, 0.25), call("a", "y", 0, 0.375), call("b", "x", 2, 0.25)];
        let profile = Profile { timing: Timing::WallClock, calls };
        let expected = vec![call("2 calls", "x", 3, 0.5), call("1 call", "y", 0, 0.375)];
        assert_eq!(profile.by_kernel().calls, expected);
        assert_eq!(profile.by_kernel().seconds(), profile.seconds());
    }

    #[test]
    fn a_long_name_widens_its_column() {
        let call = |scope: &str, kernel| {
            let (scope, shapes) = (scope.to_owned(), "shapes".to_owned());
            CallTime { scope, kernel, shapes, flops: 2_000_000, bytes: 8, seconds: 1e-3 }
        };
        let long = call("a_layer_with_a_name_of_its_own/kernel", "conv2d_weight_gradient_quads.merge_of_blocks");
        let table = Profile { timing: Timing::WallClock, calls: vec![call("a", "b"), long] }.to_string();
        let ends = |line: &str| line.find("shapes").unwrap_or(line.len());
        let [heading, first, second, all] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
        assert_eq!([ends(first), ends(second)], [ends(heading); 2], "{table}");
        assert_eq!(all.len(), heading.find("us").map_or(0, |at| at + 2), "{table}");
    }

    #[test]
    fn layers_are_neighbouring_calls_of_one_scope_and_follow_each_other() {
        let call = |scope: &str, seconds| {
            let (scope, shapes) = (scope.to_owned(), String::new());
            CallTime { scope, kernel: "x", shapes, flops: 0, bytes: 0, seconds }
        };
        let calls = vec![call("a", 0.25), call("a", 0.5), call("b", 1.0), call("a", 2.0)];
        let profile = Profile { timing: Timing::WallClock, calls };
        let found: Vec<_> = profile.layers().iter().map(|layer| (layer.scope, layer.start, layer.seconds)).collect();
        assert_eq!(found, [("a", 0.0, 0.75), ("b", 0.75, 1.0), ("a", 1.75, 2.0)]);
        assert_eq!(profile.layers()[0].calls.len(), 2);
    }
}
