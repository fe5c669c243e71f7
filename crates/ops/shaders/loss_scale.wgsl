// g = g / scale, or 0 where g is not finite; the scale doubles after `interval` finite steps, and halves if any is not.
// `unscale`: a workgroup divides 64 rows of 256 elements and notes whether all are finite; `update`: one workgroup updates
// the state.
#import linear
#import nan

const ROWS: u32 = 64u;  // divided by one invocation of `unscale`
const FLAGS: u32 = 64u; // of a workgroup, of which the first is used: a window of workgroups starts where devices can bind
// The places in the state.
const SCALE: u32 = 0u;   // the bits of the scale, a power of two
const FINITE: u32 = 1u;  // steps with finite gradients since the scale last changed
const SKIPPED: u32 = 2u; // steps that were skipped so far
const SKIP: u32 = 3u;    // 1 if this step is to be skipped, else 0
// The bits of scales from 2^-126 to 2^126: their inverses are normal numbers, too.
const SMALLEST: u32 = 0x800000u;
const LARGEST: u32 = 0x7e800000u;
const DOUBLED: u32 = 0x800000u; // the bits of 2 s, less those of s
const INVERSES: u32 = 0x7f000000u; // the bits of 1 / s, plus those of s: no device rounds a division

struct Params {
    count: u32,    // elements of the gradients, or workgroups that noted a flag
    interval: u32, // finite steps after which the scale doubles
}

@group(0) @binding(0) var<storage, read_write> gradients: array<f32>; // [count]
@group(0) @binding(1) var<storage, read> scale: array<u32>;           // [4], the state
@group(0) @binding(2) var<storage, read_write> flags: array<u32>;     // [workgroups, FLAGS], 1 if an element is not finite
@group(0) @binding(0) var<storage, read> noted: array<u32>;           // [count, FLAGS], the flags
@group(0) @binding(1) var<storage, read_write> state: array<u32>;     // [4]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> found: array<u32, 256>;

// 1 if any invocation of the workgroup has found an element that is not finite, else 0.
fn any_found() -> u32 {
    var all = 0u;
    for (var i = 0u; i < 256u; i++) {
        all |= found[i];
    }
    return all;
}

@compute @workgroup_size(256)
fn unscale(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let index = group.y * groups.x + group.x;
    let first = index * ROWS * 256u + local;
    let inverse = bitcast<f32>(INVERSES - scale[SCALE]);
    var mine = 0u;
    for (var row = 0u; row < ROWS; row++) {
        let i = first + row * 256u;
        if i < params.count {
            let g = gradients[i];
            let finite = magnitude(g) < INFINITE;
            mine |= select(1u, 0u, finite);
            gradients[i] = select(0.0, g * inverse, finite);
        }
    }
    found[local] = mine;
    // The first invocation reads the values of the others.
    workgroupBarrier();
    if local == 0u && index * ROWS * 256u < params.count {
        flags[index * FLAGS] = any_found();
    }
}

@compute @workgroup_size(256)
fn update(@builtin(local_invocation_index) local: u32) {
    var mine = 0u;
    for (var i = local; i < params.count; i += 256u) {
        mine |= noted[i * FLAGS];
    }
    found[local] = mine;
    // The first invocation reads the values of the others.
    workgroupBarrier();
    if local == 0u {
        let skip = any_found();
        let old = state[SCALE];
        var finite = 0u;
        if skip != 0u {
            state[SCALE] = max(old - DOUBLED, SMALLEST);
        } else {
            finite = state[FINITE] + 1u;
            if finite >= params.interval {
                state[SCALE] = min(old + DOUBLED, LARGEST);
                finite = 0u;
            }
        }
        state[FINITE] = finite;
        state[SKIPPED] += skip;
        state[SKIP] = skip;
    }
}
