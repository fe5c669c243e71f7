// y = l1 sum |w| + l2 sum w^2; dw[i] = dy (l1 sign(w[i]) + 2 l2 w[i]).
// One invocation sums 64 elements, 64 apart for coalesced loads, in order; `sum` adds the partial sums.
#import linear

struct Params {
    count: u32, // elements
    l1: f32,
    l2: f32,
}

const LANES: u32 = 64u;
const TERMS: u32 = 64u;                 // elements of an invocation
const BLOCK: u32 = LANES * TERMS;       // elements of a workgroup

@group(0) @binding(0) var<storage, read> w: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [blocks, LANES]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [1]
@group(0) @binding(3) var<storage, read_write> dw: array<f32>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let block = group.y * groups.x + group.x;
    if block * BLOCK >= params.count {
        return;
    }
    var total = 0.0;
    for (var term = 0u; term < TERMS; term++) {
        let i = block * BLOCK + term * LANES + local;
        if i < params.count {
            total += params.l1 * abs(w[i]) + params.l2 * w[i] * w[i];
        }
    }
    y[block * LANES + local] = total;
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        dw[i] = dy[0] * (params.l1 * sign(w[i]) + 2.0 * params.l2 * w[i]);
    }
}
