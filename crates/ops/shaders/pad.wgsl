// y[b, i, j] = x[b, i, j], or x[b, j, i] with other strides, inside of x, else 0.
// One invocation writes four adjacent values; `forward_f16` those of a matrix in f16.
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
@group(0) @binding(0) var<storage, read> x16: array<u32>;          // [B, I, J] in f16, by its strides
@group(0) @binding(1) var<storage, read_write> y16: array<vec2u>;  // [B, I', J' / 4] in f16
@group(0) @binding(2) var<uniform> params: Params;

// x at a column of the row that begins at `start`, or 0.
fn load(start: u32, column: u32, columns: u32) -> f32 {
    var value = 0.0;
    if column < columns {
        value = x[start + column * params.column_stride];
    }
    return value;
}

// The same of x16, in the lower 16 bits.
fn load16(start: u32, column: u32, columns: u32) -> u32 {
    var half = 0u;
    if column < columns {
        let at = start + column * params.column_stride;
        half = (x16[at / 2u] >> (at % 2u * 16u)) & 0xffffu;
    }
    return half;
}

// Where a quad of y is read from: the start of its row in x, its first column, and the row's length, 0 past the last row.
fn source_of(at: u32) -> vec3u {
    let row = at / params.quads_of_row;
    let i = row % params.rows;
    let start = row / params.rows * params.batch_stride + i * params.row_stride;
    return vec3u(start, at % params.quads_of_row * 4u, select(0u, params.columns_of_x, i < params.rows_of_x));
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    if at < params.quads {
        let s = source_of(at);
        y[at] = vec4f(
            load(s.x, s.y, s.z),
            load(s.x, s.y + 1u, s.z),
            load(s.x, s.y + 2u, s.z),
            load(s.x, s.y + 3u, s.z),
        );
    }
}

@compute @workgroup_size(256)
fn forward_f16(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    if at < params.quads {
        let s = source_of(at);
        y16[at] = vec2u(
            load16(s.x, s.y, s.z) | (load16(s.x, s.y + 1u, s.z) << 16u),
            load16(s.x, s.y + 2u, s.z) | (load16(s.x, s.y + 3u, s.z) << 16u),
        );
    }
}
