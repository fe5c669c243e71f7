// y[i] = x[i / times]: each value of x, `times` times in a row; dx[i] = sum over t of dy[i*times + t].
// One invocation computes one value.
#import linear

struct Params {
    count: u32, // values of y for `forward`, of dx for `gradient`
    times: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count / times]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [count * times]
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
        y[i] = x[i / params.times];
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
        var total = 0.0;
        for (var t = 0u; t < params.times; t++) {
            total += dy[i * params.times + t];
        }
        dx[i] = total;
    }
}
