// y[i] = x[i] / (1 - rate) where a draw that depends on the place and the step is at least `rate`, else 0, or NaN where x is.
// One invocation computes 4 elements, 64 apart so that neighbours write neighbours: one hash gives the draws of all four.
#import nan
#import random
#import step

struct Params {
    count: u32,
    first: u32,  // blocks of 4 LANES elements that lie before x
    stream: u32, // which of the network's dropouts this is
    rate: f32,
    scale: f32,  // 1 / (1 - rate)
}

const LANES: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let block = group.y * groups.x + group.x;
    let draws = random4((params.first + block) * LANES + local, params.stream, step.key);
    let first = block * 4u * LANES + local;
    for (var k = 0u; k < 4u; k++) {
        let i = first + k * LANES;
        if i < params.count {
            y[i] = unless_nan(select(0.0, x[i] * params.scale, uniform_of(draws[k]) >= params.rate), x[i]);
        }
    }
}
