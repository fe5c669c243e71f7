// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 6 rows x 2 columns. The result may be stored transposed, so that `nn` also computes a * b^T. A
// workgroup of `nn` first copies its part of some rows of b, which may be far apart, to workgroup memory.
#import blocks
#import columns
#import epilogue

override has_bias: bool; // else the bias is bound but not read
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

const PACKED_GROUPS: u32 = 11u; // groups of rows of a workgroup of `nn`
const PACKED_STEPS: u32 = 128u; // rows of b that it copies at once; divides BLOCK
var<workgroup> packed: array<f32, 4096>; // [PACKED_STEPS, TILE_COLUMNS]

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

// The sums of the only row, which starts at `row` in a, added to `before`.
fn one_row(row: u32, column: u32, before: vec2f) -> vec2f {
    var sum = before;
    var at = column;
    for (var first = 0u; first < params.inner; first += BLOCK) {
        let end = min(first + BLOCK, params.inner);
        var t = vec2f();
        for (var k = first; k < end; k++) {
            t = fma(vec2f(load(row + k)), vec2f(b[at], b[at + LANES]), t);
            at += params.columns;
        }
        sum += t;
    }
    return sum;
}

@compute @workgroup_size(LANES, PACKED_GROUPS)
fn nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = group.x * TILE_COLUMNS + local.x;
    let row = ((group.z * groups.y + group.y) * PACKED_GROUPS + local.y) * INVOCATION_ROWS;
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
    if params.rows == 1u {
        // As in a prediction of one sample: nothing is read twice.
        if local.y == 0u {
            store(row, column, one_row(a0, column, s0));
        }
        return;
    }
    var t0 = vec2f();
    var t1 = vec2f();
    var t2 = vec2f();
    var t3 = vec2f();
    var t4 = vec2f();
    var t5 = vec2f();
    for (var first = 0u; first < params.inner; first += PACKED_STEPS) {
        let steps = min(PACKED_STEPS, params.inner - first);
        for (var k = local.y; k < steps; k += PACKED_GROUPS) {
            let at = (first + k) * params.columns + column;
            packed[k * TILE_COLUMNS + local.x] = b[at];
            packed[k * TILE_COLUMNS + local.x + LANES] = b[at + LANES];
        }
        workgroupBarrier();
        if row < last {
            for (var k = 0u; k < steps; k++) {
                let b0 = vec2f(packed[k * TILE_COLUMNS + local.x], packed[k * TILE_COLUMNS + local.x + LANES]);
                t0 = fma(vec2f(load(a0 + first + k)), b0, t0);
                t1 = fma(vec2f(load(a1 + first + k)), b0, t1);
                t2 = fma(vec2f(load(a2 + first + k)), b0, t2);
                t3 = fma(vec2f(load(a3 + first + k)), b0, t3);
                t4 = fma(vec2f(load(a4 + first + k)), b0, t4);
                t5 = fma(vec2f(load(a5 + first + k)), b0, t5);
            }
        } else if row == last {
            for (var k = 0u; k < steps; k++) {
                let b0 = vec2f(packed[k * TILE_COLUMNS + local.x], packed[k * TILE_COLUMNS + local.x + LANES]);
                t0 = fma(vec2f(load(a0 + first + k)), b0, t0);
            }
        }
        if (first + PACKED_STEPS) % BLOCK == 0u || first + PACKED_STEPS >= params.inner {
            s0 += t0;
            s1 += t1;
            s2 += t2;
            s3 += t3;
            s4 += t4;
            s5 += t5;
            t0 = vec2f();
            t1 = vec2f();
            t2 = vec2f();
            t3 = vec2f();
            t4 = vec2f();
            t5 = vec2f();
        }
        workgroupBarrier();
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
