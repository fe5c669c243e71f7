// y[n] = low + (high - low) * a uniform draw for sample n.
// One invocation draws for one sample.
#import linear
#import random
#import step

struct Params {
    count: u32,  // N
    stream: u32, // which of the network's layers this is
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<storage, read_write> y: array<f32>; // [N]
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let n = linear_index(group, groups, local);
    if n < params.count {
        let draw = random4(step.place + n, params.stream, step.key);
        y[n] = params.low + (params.high - params.low) * uniform_of(draw.x);
    }
}
