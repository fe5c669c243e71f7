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
    let first = i / params.columns * params.chunk;
    let end = min(first + params.chunk, params.rows);
    var at = first * params.columns + i % params.columns;
    var total = 0.0;
    for (var row = first; row < end; row++) {
        total += x[at];
        at += params.columns;
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
