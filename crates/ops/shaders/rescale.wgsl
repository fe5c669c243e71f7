// y = scale x + offset, elementwise.
// One invocation computes one element.
#import linear

struct Params {
    count: u32,
    scale: f32,
    offset: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = params.scale * x[i] + params.offset;
    }
}
