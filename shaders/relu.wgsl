// y = min(x, max_value) for x > threshold, else negative_slope (x - threshold), element by element.
// One invocation computes one element.
#import linear

struct Params {
    count: u32,
    max_value: f32,
    threshold: f32,
    negative_slope: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [count]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let below = params.negative_slope * (x[i] - params.threshold);
        y[i] = select(below, min(x[i], params.max_value), x[i] > params.threshold);
    }
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let above = select(0.0, 1.0, x[i] < params.max_value);
        dx[i] = dy[i] * select(params.negative_slope, above, x[i] > params.threshold);
    }
}
