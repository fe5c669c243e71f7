// y = x rounded to a 16-bit float, stored as a 32-bit float: to nearest, ties to even, with subnormal numbers, to infinity
// from 65,520 on.
// One invocation computes one element, by integer operations: every device rounds alike, whether or not it computes in f16.
#import linear

struct Params {
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

fn rounded(v: f32) -> f32 {
    let bits = bitcast<u32>(v);
    let magnitude = bits & 0x7fffffffu;
    // 13 of the 23 bits of the significand are dropped.
    let normal = (magnitude + 0xfffu + ((magnitude >> 13u) & 1u)) & 0xffffe000u;
    // Below 2^-14: a multiple of 2^-24, and 0 from a shift by 25 on.
    let significand = (magnitude & 0x7fffffu) | 0x800000u;
    let shift = min(126u - min(magnitude >> 23u, 112u), 25u);
    let multiple = (significand + (1u << (shift - 1u)) - 1u + ((significand >> shift) & 1u)) >> shift;
    let subnormal = bitcast<u32>(f32(multiple) * 0x1p-24f);
    let finite = select(normal, subnormal, magnitude < 0x38800000u);
    let unless_nan = select(finite, 0x7f800000u, magnitude >= 0x477ff000u);
    return bitcast<f32>((bits & 0x80000000u) | select(unless_nan, 0x7fc00000u, magnitude > 0x7f800000u));
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = rounded(x[i]);
    }
}
