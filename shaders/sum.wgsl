// y[c, k] = scale * sum over the rows r of chunk c of x[r, k]; dx[r, k] = scale * dy[k].
// One invocation sums one column of one chunk, in order. A second call over the chunks' sums makes one row of them.
#import linear

struct Params {
    rows: u32,
    columns: u32,
    chunk: u32,  // rows per chunk
    count: u32,  // elements of the result
    scale: f32,
}

const BLOCK: u32 = 16u; // rows of a short sum

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, columns]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [chunks, columns]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [columns]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [rows, columns]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i >= params.count {
        return;
    }
    var row = i / params.columns * params.chunk;
    let end = min(row + params.chunk, params.rows);
    var at = row * params.columns + i % params.columns;
    // A sum of short sums: the rounding errors of one long sum would show where the terms almost cancel.
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
    y[i] = params.scale * total;
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
