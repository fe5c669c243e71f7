// y[b, i, j] = x[b, i, j], or x[b, j, i] by other strides, where there is one, else 0.
// One invocation writes one element.
#import linear

struct Params {
    count: u32,         // elements of y
    rows: u32,          // I'
    columns: u32,       // J'
    rows_of_x: u32,     // I
    columns_of_x: u32,  // J
    batch_stride: u32,  // of x, in elements
    row_stride: u32,
    column_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [B, I, J], by its strides
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [B, I', J']
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    if at < params.count {
        let i = at / params.columns % params.rows;
        let j = at % params.columns;
        let batch = at / (params.rows * params.columns) * params.batch_stride;
        var value = 0.0;
        if i < params.rows_of_x && j < params.columns_of_x {
            value = x[batch + i * params.row_stride + j * params.column_stride];
        }
        y[at] = value;
    }
}
