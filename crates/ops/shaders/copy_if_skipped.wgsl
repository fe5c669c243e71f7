// y = x if the step is to be skipped; else y stays as it is.
// One invocation copies one element.
#import linear

const SKIP: u32 = 3u; // as in `loss_scale`

struct Params {
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read> state: array<u32>;   // [4], of `loss_scale`
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count && state[SKIP] != 0u {
        y[i] = x[i];
    }
}
