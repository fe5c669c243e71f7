// forward: y = x rounded to f16; widen: y = x, from f16 to f32
// One invocation converts two adjacent values, a word of f16.
#import half
#import linear

struct Params {
    count: u32, // elements
}

@group(0) @binding(0) var<storage, read> x: array<f32>;             // [count]
@group(0) @binding(1) var<storage, read_write> halves: array<u32>;  // [count / 2]
@group(0) @binding(0) var<storage, read> narrow: array<u32>;        // [count / 2]
@group(0) @binding(1) var<storage, read_write> wide: array<f32>;    // [count]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    let i = at * 2u;
    if i < params.count {
        var second = 0u;
        if i + 1u < params.count {
            second = half_bits(x[i + 1u]);
        }
        halves[at] = half_bits(x[i]) | (second << 16u);
    }
}

@compute @workgroup_size(256)
fn widen(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    let i = at * 2u;
    if i < params.count {
        let word = narrow[at];
        wide[i] = half_value(word);
        if i + 1u < params.count {
            wide[i + 1u] = half_value(word >> 16u);
        }
    }
}
