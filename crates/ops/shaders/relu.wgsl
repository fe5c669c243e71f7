// y = min(x, max_value) for x > threshold, else negative_slope (x - threshold), elementwise.
// One invocation computes one element. Where the slope is 0, the result is 0, even for infinite values.
#import linear
#import nan
#import value

struct Params {
    count: u32,
    max_value: f32, // infinite for no bound
    threshold: f32,
    negative_slope: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Value>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<Value>;  // [count]
@group(0) @binding(2) var<storage, read> dy: array<Value>;       // [count]
@group(0) @binding(3) var<storage, read_write> dx: array<Value>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

#quads
@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let v = x[i];
        let below = select(params.negative_slope * (v - params.threshold), Value(), params.negative_slope == 0.0);
        y[i] = unless_nan(select(below, min(v, Value(params.max_value)), v > Value(params.threshold)), v);
    }
}

#quads
@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let v = x[i];
        let above = select(Value(), Value(1.0), (v < Value(params.max_value)) | (magnitude(Value(params.max_value)) == Bits(INFINITE)));
        let slope = select(Value(params.negative_slope), above, v > Value(params.threshold));
        let passed = select(dy[i] * slope, Value(), slope == Value());
        dx[i] = unless_any_nan(passed, max(magnitude(v), magnitude(dy[i])));
    }
}
