// y = x tanh(log(1 + exp(x))) and dx = dy * y'(x), elementwise.
// One invocation computes one element.

struct Params {
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [count]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

// With e = exp(v): tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2). It rounds to 1 from v = 20 on.
fn exponential(v: f32) -> f32 {
    return exp(min(v, 20.0));
}

fn value(v: f32) -> f32 {
    let e = exponential(v);
    let n = e * (e + 2.0);
    return v * (n / (n + 2.0));
}

fn slope(v: f32) -> f32 {
    let e = exponential(v);
    let n = e * (e + 2.0);
    return n / (n + 2.0) + v * (4.0 * e / (n + 2.0)) * ((1.0 + e) / (n + 2.0));
}

// Workgroups wrap to y beyond 65,535, as in `linear_workgroups`.
fn linear_index(group: vec3u, groups: vec3u, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * 256u + local;
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = value(x[i]);
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
        dx[i] = dy[i] * slope(x[i]);
    }
}
