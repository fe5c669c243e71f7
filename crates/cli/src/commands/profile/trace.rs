//! A step in Chrome's trace format, for Perfetto and chrome://tracing.

use kiln::graph::Profile;
use serde_json::{Value, json};

/// The trace events of a step: its calls in sequence, each with its mean time, and above them their layers. Times are
/// in microseconds.
pub fn events(profile: &Profile, title: &str) -> Value {
    let name = |thread: u32, name: &str| json!({ "ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": { "name": name } });
    let mut events = vec![
        json!({ "ph": "M", "name": "process_name", "pid": 1, "args": { "name": title } }),
        name(1, "layers"),
        name(2, "kernels"),
    ];
    for layer in profile.layers() {
        let [start, duration] = [layer.start, layer.seconds].map(|seconds| seconds * 1e6);
        events.push(json!({ "ph": "X", "name": layer.scope, "pid": 1, "tid": 1, "ts": start, "dur": duration }));
        let mut start = start;
        for call in layer.calls {
            let duration = call.seconds * 1e6;
            let arguments =
                json!({ "shapes": call.shapes, "GFLOP/s": call.gflops(), "GB/s": call.gbytes(), "bytes": call.bytes });
            events.push(json!({
                "ph": "X", "name": call.kernel, "cat": call.scope, "pid": 1, "tid": 2,
                "ts": start, "dur": duration, "args": arguments,
            }));
            start += duration;
        }
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln::graph::{CallTime, Timing};

    use super::*;

    #[test]
    fn calls_follow_each_other_below_their_layers() {
        let call = |scope: &str, kernel, seconds| {
            let (scope, shapes) = (scope.to_owned(), "2x3 -> 2x3".to_owned());
            CallTime { scope, kernel, shapes, flops: 0, bytes: 48, seconds }
        };
        let calls = vec![call("conv", "a", 0.5), call("conv", "b", 0.25), call("dense", "a", 1.0)];
        let trace = events(&Profile { timing: Timing::WallClock, calls }, "a step");
        let events = trace["traceEvents"].as_array().unwrap();
        let spans = |thread: u64| -> Vec<(&str, f64, f64)> {
            let of_thread = events.iter().filter(|event| event["ph"] == "X" && event["tid"] == thread);
            let number = |value: &Value| value.as_f64().unwrap();
            of_thread
                .map(|event| (event["name"].as_str().unwrap(), number(&event["ts"]), number(&event["dur"])))
                .collect()
        };
        assert_eq!(spans(1), [("conv", 0.0, 7.5e5), ("dense", 7.5e5, 1e6)]);
        assert_eq!(spans(2), [("a", 0.0, 5e5), ("b", 5e5, 2.5e5), ("a", 7.5e5, 1e6)]);
    }
}
