// y[n] = scale * sum over e of x[n, e]; dx[n, e] = scale * dy[n]
// `narrow`: one invocation computes one row. `wide`: one workgroup does. `gradient`: one invocation computes one element.
#import linear
#import long_sum

struct Params {
    rows: u32,     // N
    elements: u32, // E, of a row
    scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [N, E]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [N]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [N]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [N, E]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(256)
fn narrow(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(group, groups, local);
    if row >= params.rows {
        return;
    }
    var sum = 0.0;
    for (var e = 0u; e < params.elements; e++) {
        sum += x[row * params.elements + e];
    }
    y[row] = params.scale * sum;
}

@compute @workgroup_size(64)
fn wide(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    let elements = select(0u, params.elements, row < params.rows);
    let first = row * params.elements;
    var sums_of_blocks = vec4f();
    var e = local;
    for (var block = 0u; block * TERMS * 64u < elements; block++) {
        let end = min((block + 1u) * TERMS * 64u, elements);
        var part = 0.0;
        for (; e < end; e += 64u) {
            part += x[first + e];
        }
        sums_of_blocks = add_block(sums_of_blocks, part, block);
    }
    sums[local] = sum_of_blocks(sums_of_blocks);
    // The first invocation reads what the others wrote.
    workgroupBarrier();
    if local == 0u && row < params.rows {
        var total = 0.0;
        for (var i = 0u; i < 64u; i++) {
            total += sums[i];
        }
        y[row] = params.scale * total;
    }
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.rows * params.elements {
        dx[i] = params.scale * dy[i / params.elements];
    }
}
