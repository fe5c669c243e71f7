// Shared by matrix products in quads: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n].
#import blocks
#import epilogue
#import quads

override has_bias: bool; // else the bias is bound but not read

struct Params {
    rows: u32,          // M
    inner: u32,         // K
    columns: u32,       // N
    a_stride: u32,      // from one row of a to the next, in quads
    b_stride: u32,      // from one row of b to the next, in quads
    row_stride: u32,    // of the result, in elements
    column_stride: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;     // [M, K / 4]; for `tn` [K, M / 4]
@group(0) @binding(1) var<storage, read> b: array<vec4f>;     // [K, N / 4]
@group(0) @binding(2) var<storage, read> bias: array<f32>;    // [N]
@group(0) @binding(3) var<storage, read> gates: array<f32>;   // [M, N], by c's strides; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // [M, N], by its strides
@group(0) @binding(5) var<uniform> params: Params;

fn start(column: u32) -> vec4f {
    if has_bias {
        return vec4f(bias[column], bias[column + 1u], bias[column + 2u], bias[column + 3u]);
    }
    return vec4f();
}

fn store_quad(row: u32, column: u32, value: vec4f) {
    if row < params.rows {
        for (var i = 0u; i < 4u; i++) {
            if column + i < params.columns {
                let at = row * params.row_stride + (column + i) * params.column_stride;
                c[at] = finish(at, value[i]);
            }
        }
    }
}

fn store_rows(row: u32, column: u32, sums: Rows) {
    var s = sums;
    for (var i = 0u; i < ROWS; i++) {
        store_quad(row + i, column, s.r0);
        s = next_row(s);
    }
}
