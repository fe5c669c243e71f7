// y[i] = x[i] / (1 - rate) where a draw that depends on the place and the step is at least `rate`, else 0, or NaN where x is.
// One invocation computes 4 elements, 64 apart so that neighbours write neighbours: one hash yields the draws of all four, or
// two where x is a shard of a batch and does not start at a multiple of 256 elements of it.
#import nan
#import random
#import step

struct Params {
    count: u32,
    first: u32,  // blocks of 4 LANES elements that lie before x
    sample: u32, // elements of a sample
    stream: u32, // which of the network's dropouts this is
    rate: f32,
    scale: f32,  // 1 / (1 - rate)
}

const LANES: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

// Four of the eight words of two draws, those behind the first 0 to 3.
fn behind(skipped: u32, draws: vec4u, next: vec4u) -> vec4u {
    let odd = (skipped & 1u) == 1u;
    let words = select(draws, vec4u(draws.yzw, next.x), odd);
    let others = select(next.xy, next.yz, odd);
    return select(words, vec4u(words.zw, others), (skipped & 2u) == 2u);
}

@compute @workgroup_size(LANES)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let block = group.y * groups.x + group.x;
    // Elements of the whole batch before x: blocks, and what is left over. A product of all might exceed 32 bits.
    let rest = step.place * (params.sample % (4u * LANES));
    let before = step.place * (params.sample / (4u * LANES)) + rest / (4u * LANES);
    let within = rest % (4u * LANES) + local; // the place of the first element, from that block on
    let counter = (before + params.first + block + within / (4u * LANES)) * LANES + within % LANES;
    var draws = random4(counter, params.stream, step.key);
    if rest % (4u * LANES) != 0u {
        draws = behind(within / LANES % 4u, draws, random4(counter + LANES, params.stream, step.key));
    }
    let first = block * 4u * LANES + local;
    for (var k = 0u; k < 4u; k++) {
        let i = first + k * LANES;
        if i < params.count {
            y[i] = unless_nan(select(0.0, x[i] * params.scale, uniform_of(draws[k]) >= params.rate), x[i]);
        }
    }
}
