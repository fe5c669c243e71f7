// y[n, top + h, left + w, c] = x[n, h, w, c], 0 elsewhere; dx[n, h, w, c] = dy[n, top + h, left + w, c].
// Rows of pixels are rows of values here. One invocation copies one value of 8 rows.
#import channels
#import value

struct Params {
    rows: u32,        // N * OH of y for `forward`, N * H of dx for `gradient`
    height: u32,      // H
    out_height: u32,  // OH
    columns: u32,     // W * C
    out_columns: u32, // OW * C
    top: u32,         // rows
    left: u32,        // columns * C
}

@group(0) @binding(0) var<storage, read> x: array<Value>;        // [N, H, W C]
@group(0) @binding(1) var<storage, read_write> y: array<Value>;  // [N, OH, OW C]
@group(0) @binding(2) var<storage, read> dy: array<Value>;       // [N, OH, OW C]
@group(0) @binding(3) var<storage, read_write> dx: array<Value>; // [N, H, W C]
@group(0) @binding(4) var<uniform> params: Params;

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let out = column_of(group, groups, local, params.out_columns);
    if out >= params.out_columns {
        return;
    }
    let column = out - params.left; // wraps to a huge number left of the image
    let begin = first_pixel(group, groups, local, params.out_columns);
    let end = min(begin + INVOCATION_PIXELS, params.rows);
    for (var r = begin; r < end; r++) {
        let row = r % params.out_height - params.top; // wraps above the image
        var v = Value();
        if row < params.height && column < params.columns {
            v = x[(r / params.out_height * params.height + row) * params.columns + column];
        }
        y[r * params.out_columns + out] = v;
    }
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.columns);
    if column >= params.columns {
        return;
    }
    let begin = first_pixel(group, groups, local, params.columns);
    let end = min(begin + INVOCATION_PIXELS, params.rows);
    for (var r = begin; r < end; r++) {
        let out_row = r / params.height * params.out_height + r % params.height + params.top;
        dx[r * params.columns + column] = dy[out_row * params.out_columns + params.left + column];
    }
}
