// moving[i] = momentum moving[i] + gain batch[i]
// One invocation updates one value.
#import linear

struct Params {
    count: u32,
    momentum: f32,
    gain: f32, // 1 - momentum
}

@group(0) @binding(0) var<storage, read> batch: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> moving: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn update(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        moving[i] = params.momentum * moving[i] + params.gain * batch[i];
    }
}
