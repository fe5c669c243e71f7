// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 8 rows x 4 columns. The result may be stored transposed, which makes `nn` serve for a * b^T.
// `shared_nn` and `shared_tn` compute the same by way of workgroup memory.
#import epilogue
#import shared

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

@compute @workgroup_size(INVOCATIONS)
fn nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = corner(group, groups, local);
    let column = corner.x;
    let row = corner.y;
    if row >= params.rows {
        return;
    }
    let last = params.rows - 1u;
    let a0 = min(row, last) * params.a_stride;
    let a1 = min(row + 1u, last) * params.a_stride;
    let a2 = min(row + 2u, last) * params.a_stride;
    let a3 = min(row + 3u, last) * params.a_stride;
    let a4 = min(row + 4u, last) * params.a_stride;
    let a5 = min(row + 5u, last) * params.a_stride;
    let a6 = min(row + 6u, last) * params.a_stride;
    let a7 = min(row + 7u, last) * params.a_stride;
    var s0 = start(column);
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    var s6 = s0;
    var s7 = s0;
    // Lanes past the last column compute it once more; where rows of a are filled up with zeros, any row of b will do.
    let right = min(column / 4u, params.b_stride - 1u);
    let bottom = params.inner - 1u;
    for (var k = 0u; k < params.inner; k += 4u) {
        let b0 = b[k * params.b_stride + right];
        let b1 = b[min(k + 1u, bottom) * params.b_stride + right];
        let b2 = b[min(k + 2u, bottom) * params.b_stride + right];
        let b3 = b[min(k + 3u, bottom) * params.b_stride + right];
        let q = k / 4u;
        s0 = multiply_add_quads(a[a0 + q], b0, b1, b2, b3, s0);
        s1 = multiply_add_quads(a[a1 + q], b0, b1, b2, b3, s1);
        s2 = multiply_add_quads(a[a2 + q], b0, b1, b2, b3, s2);
        s3 = multiply_add_quads(a[a3 + q], b0, b1, b2, b3, s3);
        s4 = multiply_add_quads(a[a4 + q], b0, b1, b2, b3, s4);
        s5 = multiply_add_quads(a[a5 + q], b0, b1, b2, b3, s5);
        s6 = multiply_add_quads(a[a6 + q], b0, b1, b2, b3, s6);
        s7 = multiply_add_quads(a[a7 + q], b0, b1, b2, b3, s7);
    }
    for (var i = 0u; i < 8u; i++) {
        store_quad(row + i, column, s0);
        s0 = s1;
        s1 = s2;
        s2 = s3;
        s3 = s4;
        s4 = s5;
        s5 = s6;
        s6 = s7;
    }
}

@compute @workgroup_size(INVOCATIONS)
fn tn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = corner(group, groups, local);
    let column = corner.x;
    let row = corner.y;
    if row >= params.rows {
        return;
    }
    var s0 = start(column);
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    var s6 = s0;
    var s7 = s0;
    // Lanes and rows past the last compute it once more.
    let right = min(column / 4u, params.b_stride - 1u);
    let upper = min(row / 4u, params.a_stride - 1u);
    let lower = min(row / 4u + 1u, params.a_stride - 1u);
    for (var k = 0u; k < params.inner; k++) {
        let b0 = b[k * params.b_stride + right];
        let a0 = a[k * params.a_stride + upper];
        let a4 = a[k * params.a_stride + lower];
        s0 = fma(vec4f(a0.x), b0, s0);
        s1 = fma(vec4f(a0.y), b0, s1);
        s2 = fma(vec4f(a0.z), b0, s2);
        s3 = fma(vec4f(a0.w), b0, s3);
        s4 = fma(vec4f(a4.x), b0, s4);
        s5 = fma(vec4f(a4.y), b0, s5);
        s6 = fma(vec4f(a4.z), b0, s6);
        s7 = fma(vec4f(a4.w), b0, s7);
    }
    for (var i = 0u; i < 8u; i++) {
        store_quad(row + i, column, s0);
        s0 = s1;
        s1 = s2;
        s2 = s3;
        s3 = s4;
        s4 = s5;
        s5 = s6;
        s6 = s7;
    }
}

// nn where there are few rows: one invocation computes 1 row x 4 columns.
@compute @workgroup_size(INVOCATIONS)
fn single(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = corner(group, groups, local);
    let column = corner.x;
    let row = corner.y / ROWS;
    if row >= params.rows {
        return;
    }
    let from_a = row * params.a_stride;
    var sum = start(column);
    let right = min(column / 4u, params.b_stride - 1u);
    let bottom = params.inner - 1u;
    for (var k = 0u; k < params.inner; k += 4u) {
        let b0 = b[k * params.b_stride + right];
        let b1 = b[min(k + 1u, bottom) * params.b_stride + right];
        let b2 = b[min(k + 2u, bottom) * params.b_stride + right];
        let b3 = b[min(k + 3u, bottom) * params.b_stride + right];
        sum = multiply_add_quads(a[from_a + k / 4u], b0, b1, b2, b3, sum);
    }
    store_quad(row, column, sum);
}

fn store_shared(group: vec3u, groups: vec3u, local: u32, sums: Sums) {
    let corner = shared_corner(group, groups) + owned(local);
    var s = sums;
    for (var i = 0u; i < ROWS; i++) {
        store_quad(corner.y + i, corner.x, s.s0);
        s = next_row(s);
    }
}

@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = shared_corner(group, groups);
    let last = params.rows - 1u;
    let row = local / 4u;
    let upper = min(corner.y + row, last) * params.a_stride;
    let lower = min(corner.y + row + SIDE / 2u, last) * params.a_stride;
    let right = min(corner.x / 4u + local % SIDE_QUADS, params.b_stride - 1u);
    let bottom = params.inner - 1u;
    let s = start(corner.x + owned(local).x);
    var sums = Sums(s, s, s, s, s, s, s, s);
    for (var k = 0u; k < params.inner; k += STEPS) {
        let q = k / 4u + local % 4u;
        let at = min(q, params.a_stride - 1u);
        block_a[row * ROW_QUADS + local % 4u] = select(vec4f(), a[upper + at], q < params.a_stride);
        block_a[(row + SIDE / 2u) * ROW_QUADS + local % 4u] = select(vec4f(), a[lower + at], q < params.a_stride);
        let step = k + local / SIDE_QUADS;
        block_b[local] = b[min(step, bottom) * params.b_stride + right];
        block_b[local + SHARED_INVOCATIONS] = b[min(step + STEPS / 2u, bottom) * params.b_stride + right];
        workgroupBarrier();
        sums = add_rows(sums, local);
        workgroupBarrier();
    }
    store_shared(group, groups, local, sums);
}

@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_tn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = shared_corner(group, groups);
    let right = min(corner.x / 4u + local % SIDE_QUADS, params.b_stride - 1u);
    let down = min(corner.y / 4u + local % SIDE_QUADS, params.a_stride - 1u);
    let bottom = params.inner - 1u;
    let s = start(corner.x + owned(local).x);
    var sums = Sums(s, s, s, s, s, s, s, s);
    for (var k = 0u; k < params.inner; k += STEPS) {
        let upper = k + local / SIDE_QUADS;
        let lower = upper + STEPS / 2u;
        let at = vec2u(min(upper, bottom), min(lower, bottom));
        block_a[local] = select(vec4f(), a[at.x * params.a_stride + down], upper <= bottom);
        block_a[local + SHARED_INVOCATIONS] = select(vec4f(), a[at.y * params.a_stride + down], lower <= bottom);
        block_b[local] = b[at.x * params.b_stride + right];
        block_b[local + SHARED_INVOCATIONS] = b[at.y * params.b_stride + right];
        workgroupBarrier();
        sums = add_steps(sums, local);
        workgroupBarrier();
    }
    store_shared(group, groups, local, sums);
}
