// x = min(max(x, -limit), limit).
// One invocation clips one element, in place.
#import linear
#import nan

struct Params {
    count: u32,
    limit: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>; // [count]
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(256)
fn update(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        x[i] = clamp_or_nan(x[i], -params.limit, params.limit);
    }
}
