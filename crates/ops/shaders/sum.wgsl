// y[c, k] = scale * sum over the rows r of chunk c of x[r, k]; dx[r, k] = scale * dy[k].
// One invocation sums one column of one chunk, in order; on GPUs (`tree`) 8 invocations do, every eighth row each. A second
// call sums the chunks' sums to one row. `adjacent` is for processors: the lanes of a vector sum adjacent columns.
#import linear

struct Params {
    rows: u32,
    columns: u32,
    chunk: u32,  // rows per chunk
    count: u32,  // elements of the result
    scale: f32,
}

const BLOCK: u32 = 16u;            // rows of a short sum
const ADJACENT_COLUMNS: u32 = 16u; // of a workgroup of `adjacent`
const TREE_COLUMNS: u32 = 32u;     // of a workgroup of `tree`
const TREE_ROWS: u32 = 8u;         // invocations that share a column

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, columns]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [chunks, columns]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [columns]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [rows, columns]
@group(0) @binding(4) var<uniform> params: Params;

// The sum of a column of a chunk.
fn sum_of(chunk: u32, column: u32) -> f32 {
    var row = chunk * params.chunk;
    let end = min(row + params.chunk, params.rows);
    var at = row * params.columns + column;
    // A sum of short sums: the rounding errors of one long sum would be visible when the terms almost cancel.
    var total = 0.0;
    while row < end {
        let stop = min(row + BLOCK, end);
        var part = 0.0;
        for (; row < stop; row++) {
            part += x[at];
            at += params.columns;
        }
        total += part;
    }
    return params.scale * total;
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = sum_of(i / params.columns, i % params.columns);
    }
}

// Chunks are along y, wrapping to z.
@compute @workgroup_size(ADJACENT_COLUMNS)
fn adjacent(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let column = group.x * ADJACENT_COLUMNS + local;
    let chunk = group.z * groups.y + group.y;
    if column < params.columns && chunk * params.columns + column < params.count {
        y[chunk * params.columns + column] = sum_of(chunk, column);
    }
}

var<workgroup> parts: array<f32, 256>; // [TREE_ROWS, TREE_COLUMNS]

// Chunks are along y, wrapping to z.
#gpu_only
@compute @workgroup_size(256)
fn tree(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let column = group.x * TREE_COLUMNS + local % TREE_COLUMNS;
    let chunk = group.z * groups.y + group.y;
    let end = min((chunk + 1u) * params.chunk, params.rows);
    var total = 0.0;
    if column < params.columns {
        for (var row = chunk * params.chunk + local / TREE_COLUMNS; row < end; row += TREE_ROWS) {
            total += x[row * params.columns + column];
        }
    }
    parts[local] = total;
    for (var apart = 128u; apart >= TREE_COLUMNS; apart /= 2u) {
        workgroupBarrier();
        if local < apart {
            parts[local] += parts[local + apart];
        }
    }
    if local < TREE_COLUMNS && column < params.columns && chunk * params.columns + column < params.count {
        y[chunk * params.columns + column] = params.scale * parts[local];
    }
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        dx[i] = params.scale * dy[i % params.columns];
    }
}
