// y = x for x > 0, else alpha (exp(x) - 1), elementwise; dx = dy for y > 0, else dy (y + alpha).
// One invocation computes one element.
#import linear
#import nan

struct Params {
    count: u32,
    alpha: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> result: array<f32>;   // [count], the y of `forward`
@group(0) @binding(4) var<storage, read> dy: array<f32>;       // [count]
@group(0) @binding(5) var<storage, read_write> dx: array<f32>; // [count]

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let v = x[i];
        y[i] = unless_nan(select(params.alpha * (exp(min(v, 0.0)) - 1.0), v, v > 0.0), v);
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
        let v = result[i];
        dx[i] = unless_nan(dy[i] * select(v + params.alpha, 1.0, v > 0.0), v);
    }
}
