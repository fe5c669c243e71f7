// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 6 rows x 2 columns. The result may be stored transposed, so that `nn` also computes a * b^T.
#import blocks
#import columns
#import epilogue

override has_bias: bool; // else the bias is bound but not read
override in_fours: bool; // whether `nn` computes four steps at once: the rows of a are a multiple of 4 long
override continues: bool; // whether to accumulate in c

struct Params {
    rows: u32,          // M
    inner: u32,         // K, or the part of it in b: whole blocks, or up to its end
    columns: u32,       // N
    row_stride: u32,    // of the result, in elements
    column_stride: u32,
    first: u32,         // the offset in a of the first row (for `tn`, column), in elements
    stride: u32,        // from one row of a to the next
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;     // [M, K]; for `tn` [K, M]
@group(0) @binding(1) var<storage, read> b: array<f32>;       // [K, N]
@group(0) @binding(2) var<storage, read> bias: array<f32>;    // [N]
@group(0) @binding(3) var<storage, read> gates: array<f32>;   // [M, N], by c's strides; bound but not read without a gate
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // [M, N], by its strides
@group(0) @binding(5) var<uniform> params: Params;

fn load(i: u32) -> f32 {
    return a[i / 4u][i % 4u];
}

fn start(column: u32) -> vec2f {
    if has_bias {
        return vec2f(bias[column], bias[column + LANES]);
    }
    return vec2f();
}

// The values of c. Rows and columns past the last are computed but not stored.
fn stored(row: u32, column: u32) -> vec2f {
    let first = min(row, params.rows - 1u) * params.row_stride;
    let last = params.columns - 1u;
    return vec2f(
        c[first + min(column, last) * params.column_stride],
        c[first + min(column + LANES, last) * params.column_stride],
    );
}

fn store(row: u32, column: u32, value: vec2f) {
    let at = row * params.row_stride + column * params.column_stride;
    if row < params.rows {
        if column < params.columns {
            c[at] = finish(at, value.x);
        }
        if column + LANES < params.columns {
            let right = at + LANES * params.column_stride;
            c[right] = finish(right, value.y);
        }
    }
}

// The sums of one row, whose elements start at `start_in_a` in a, added to `before`.
fn one_row(start_in_a: u32, column: u32, before: vec2f) -> vec2f {
    var sum = before;
    var at = column;
    for (var first = 0u; first < params.inner; first += BLOCK) {
        let end = min(first + BLOCK, params.inner);
        var t = vec2f();
        if in_fours {
            for (var k = first; k < end; k += 4u) {
                let b0 = vec2f(b[at], b[at + LANES]);
                let b1 = vec2f(b[at + params.columns], b[at + params.columns + LANES]);
                let b2 = vec2f(b[at + 2u * params.columns], b[at + 2u * params.columns + LANES]);
                let b3 = vec2f(b[at + 3u * params.columns], b[at + 3u * params.columns + LANES]);
                t = multiply_add4(a[(start_in_a + k) / 4u], b0, b1, b2, b3, t);
                at += 4u * params.columns;
            }
        } else {
            for (var k = first; k < end; k++) {
                t = fma(vec2f(load(start_in_a + k)), vec2f(b[at], b[at + LANES]), t);
                at += params.columns;
            }
        }
        sum += t;
    }
    return sum;
}

@compute @workgroup_size(LANES, ROW_GROUPS)
fn nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = group.x * TILE_COLUMNS + local.x;
    let row = first_row(group, groups, local);
    if row >= params.rows {
        return;
    }
    let last = params.rows - 1u;
    let a0 = params.first + min(row, last) * params.stride;
    let a1 = params.first + min(row + 1u, last) * params.stride;
    let a2 = params.first + min(row + 2u, last) * params.stride;
    let a3 = params.first + min(row + 3u, last) * params.stride;
    let a4 = params.first + min(row + 4u, last) * params.stride;
    let a5 = params.first + min(row + 5u, last) * params.stride;
    var s0 = start(column);
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    if continues {
        s0 = stored(row, column);
        s1 = stored(row + 1u, column);
        s2 = stored(row + 2u, column);
        s3 = stored(row + 3u, column);
        s4 = stored(row + 4u, column);
        s5 = stored(row + 5u, column);
    }
    if row == last {
        // A single row, as in predictions of one sample: a tile would waste five of six rows.
        store(row, column, one_row(a0, column, s0));
        return;
    }
    var at = column;
    for (var first = 0u; first < params.inner; first += BLOCK) {
        let end = min(first + BLOCK, params.inner);
        var t0 = vec2f();
        var t1 = vec2f();
        var t2 = vec2f();
        var t3 = vec2f();
        var t4 = vec2f();
        var t5 = vec2f();
        if in_fours {
            for (var k = first; k < end; k += 4u) {
                let b0 = vec2f(b[at], b[at + LANES]);
                let b1 = vec2f(b[at + params.columns], b[at + params.columns + LANES]);
                let b2 = vec2f(b[at + 2u * params.columns], b[at + 2u * params.columns + LANES]);
                let b3 = vec2f(b[at + 3u * params.columns], b[at + 3u * params.columns + LANES]);
                t0 = multiply_add4(a[(a0 + k) / 4u], b0, b1, b2, b3, t0);
                t1 = multiply_add4(a[(a1 + k) / 4u], b0, b1, b2, b3, t1);
                t2 = multiply_add4(a[(a2 + k) / 4u], b0, b1, b2, b3, t2);
                t3 = multiply_add4(a[(a3 + k) / 4u], b0, b1, b2, b3, t3);
                t4 = multiply_add4(a[(a4 + k) / 4u], b0, b1, b2, b3, t4);
                t5 = multiply_add4(a[(a5 + k) / 4u], b0, b1, b2, b3, t5);
                at += 4u * params.columns;
            }
        } else {
            for (var k = first; k < end; k++) {
                let b0 = vec2f(b[at], b[at + LANES]);
                t0 = fma(vec2f(load(a0 + k)), b0, t0);
                t1 = fma(vec2f(load(a1 + k)), b0, t1);
                t2 = fma(vec2f(load(a2 + k)), b0, t2);
                t3 = fma(vec2f(load(a3 + k)), b0, t3);
                t4 = fma(vec2f(load(a4 + k)), b0, t4);
                t5 = fma(vec2f(load(a5 + k)), b0, t5);
                at += params.columns;
            }
        }
        s0 += t0;
        s1 += t1;
        s2 += t2;
        s3 += t3;
        s4 += t4;
        s5 += t5;
    }
    store(row, column, s0);
    store(row + 1u, column, s1);
    store(row + 2u, column, s2);
    store(row + 3u, column, s3);
    store(row + 4u, column, s4);
    store(row + 5u, column, s5);
}

@compute @workgroup_size(LANES, ROW_GROUPS)
fn tn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = group.x * TILE_COLUMNS + local.x;
    let row = first_row(group, groups, local);
    if row >= params.rows {
        return;
    }
    var s0 = start(column);
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    if continues {
        s0 = stored(row, column);
        s1 = stored(row + 1u, column);
        s2 = stored(row + 2u, column);
        s3 = stored(row + 3u, column);
        s4 = stored(row + 4u, column);
        s5 = stored(row + 5u, column);
    }
    var at = column;
    var from_a = params.first + row;
    for (var k = 0u; k < params.inner; k++) {
        let b0 = vec2f(b[at], b[at + LANES]);
        s0 = fma(vec2f(load(from_a)), b0, s0);
        s1 = fma(vec2f(load(from_a + 1u)), b0, s1);
        s2 = fma(vec2f(load(from_a + 2u)), b0, s2);
        s3 = fma(vec2f(load(from_a + 3u)), b0, s3);
        s4 = fma(vec2f(load(from_a + 4u)), b0, s4);
        s5 = fma(vec2f(load(from_a + 5u)), b0, s5);
        at += params.columns;
        from_a += params.stride;
    }
    store(row, column, s0);
    store(row + 1u, column, s1);
    store(row + 2u, column, s2);
    store(row + 3u, column, s3);
    store(row + 4u, column, s4);
    store(row + 5u, column, s5);
}
