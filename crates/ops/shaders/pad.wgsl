// y[b, i, j] = x[b, i, j], or x[b, j, i] with other strides, inside of x, else 0.
// One invocation writes four adjacent values.
#import linear

struct Params {
    quads: u32,         // of y
    rows: u32,          // I'
    quads_of_row: u32,  // J' / 4
    rows_of_x: u32,     // I
    columns_of_x: u32,  // J
    batch_stride: u32,  // of x, in elements
    row_stride: u32,
    column_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [B, I, J], by its strides
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [B, I', J' / 4]
@group(0) @binding(2) var<uniform> params: Params;

// x at a column of the row that begins at `start`, or 0.
fn load(start: u32, column: u32, columns: u32) -> f32 {
    var value = 0.0;
    if column < columns {
        value = x[start + column * params.column_stride];
    }
    return value;
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    if at < params.quads {
        let row = at / params.quads_of_row;
        let i = row % params.rows;
        let j = at % params.quads_of_row * 4u;
        let start = row / params.rows * params.batch_stride + i * params.row_stride;
        let columns = select(0u, params.columns_of_x, i < params.rows_of_x);
        y[at] = vec4f(
            load(start, j, columns),
            load(start, j + 1u, columns),
            load(start, j + 2u, columns),
            load(start, j + 3u, columns),
        );
    }
}
