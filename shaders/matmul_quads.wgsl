// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 8 rows x 4 columns. The result may be stored transposed, which makes `nn` serve for a * b^T.
// `shared_nn` and `shared_tn` compute the same by way of workgroup memory; `split` and `merge` compute blocks of the inner axis
// side by side.
#import product_quads
#import shared

@group(0) @binding(6) var<storage, read> partial: array<f32>; // [blocks, M, N]

// The sums of one block of the inner axis, from `first` on, for 8 rows. Where rows of a are filled up with zeros, any row of b
// will do.
fn block_of_rows(row: u32, right: u32, first: u32) -> Rows {
    let last = params.rows - 1u;
    let a0 = min(row, last) * params.a_stride;
    let a1 = min(row + 1u, last) * params.a_stride;
    let a2 = min(row + 2u, last) * params.a_stride;
    let a3 = min(row + 3u, last) * params.a_stride;
    let a4 = min(row + 4u, last) * params.a_stride;
    let a5 = min(row + 5u, last) * params.a_stride;
    let a6 = min(row + 6u, last) * params.a_stride;
    let a7 = min(row + 7u, last) * params.a_stride;
    let bottom = params.inner - 1u;
    let end = min(first + BLOCK, params.inner);
    var sums = Rows();
    for (var k = first; k < end; k += 4u) {
        let q = k / 4u;
        let four = Rows(a[a0 + q], a[a1 + q], a[a2 + q], a[a3 + q], a[a4 + q], a[a5 + q], a[a6 + q], a[a7 + q]);
        let b0 = b[k * params.b_stride + right];
        let b1 = b[min(k + 1u, bottom) * params.b_stride + right];
        let b2 = b[min(k + 2u, bottom) * params.b_stride + right];
        let b3 = b[min(k + 3u, bottom) * params.b_stride + right];
        sums = add_four_steps(four, b0, b1, b2, b3, sums);
    }
    return sums;
}

// The quad of a column. Lanes past the last column compute it once more.
fn quad_of(column: u32) -> u32 {
    return min(column / 4u, params.b_stride - 1u);
}

@compute @workgroup_size(INVOCATIONS)
fn nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = corner(group, groups, local);
    if corner.y >= params.rows {
        return;
    }
    var sums = all_rows(start(corner.x));
    for (var first = 0u; first < params.inner; first += BLOCK) {
        sums = plus(sums, block_of_rows(corner.y, quad_of(corner.x), first));
    }
    store_rows(corner.y, corner.x, sums);
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
    var sums = all_rows(start(column));
    // Lanes and rows past the last compute it once more.
    let right = min(column / 4u, params.b_stride - 1u);
    let upper = min(row / 4u, params.a_stride - 1u);
    let lower = min(row / 4u + 1u, params.a_stride - 1u);
    for (var k = 0u; k < params.inner; k++) {
        let at = k * params.a_stride;
        sums = add_step(a[at + upper], a[at + lower], b[k * params.b_stride + right], sums);
    }
    store_rows(row, column, sums);
}

// As `block_of_rows`, for one row.
fn block_of_row(row: u32, right: u32, first: u32) -> vec4f {
    let from_a = row * params.a_stride;
    let bottom = params.inner - 1u;
    let end = min(first + BLOCK, params.inner);
    var sum = vec4f();
    for (var k = first; k < end; k += 4u) {
        let b0 = b[k * params.b_stride + right];
        let b1 = b[min(k + 1u, bottom) * params.b_stride + right];
        let b2 = b[min(k + 2u, bottom) * params.b_stride + right];
        let b3 = b[min(k + 3u, bottom) * params.b_stride + right];
        sum = multiply_add_quads(a[from_a + k / 4u], b0, b1, b2, b3, sum);
    }
    return sum;
}

// nn where there are few rows: one invocation computes 1 row x 4 columns.
@compute @workgroup_size(INVOCATIONS)
fn single(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = corner(group, groups, local);
    let row = corner.y / ROWS;
    if row >= params.rows {
        return;
    }
    var sum = start(corner.x);
    for (var first = 0u; first < params.inner; first += BLOCK) {
        sum += block_of_row(row, quad_of(corner.x), first);
    }
    store_quad(row, corner.x, sum);
}

fn store_partial(block: u32, row: u32, column: u32, value: vec4f) {
    if row < params.rows {
        let at = (block * params.rows + row) * params.columns + column;
        for (var i = 0u; i < 4u; i++) {
            if column + i < params.columns {
                c[at + i] = value[i];
            }
        }
    }
}

// nn where workgroups would be few: blocks run along z, and their sums [blocks, M, N] are added by `merge`.
@compute @workgroup_size(INVOCATIONS)
fn split(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = corner(vec3u(group.xy, 0u), vec3u(), local);
    if corner.y >= params.rows {
        return;
    }
    var sums = block_of_rows(corner.y, quad_of(corner.x), group.z * BLOCK);
    for (var i = 0u; i < ROWS; i++) {
        store_partial(group.z, corner.y + i, corner.x, sums.r0);
        sums = next_row(sums);
    }
}

// `split` with one row to an invocation.
@compute @workgroup_size(INVOCATIONS)
fn split_single(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = corner(vec3u(group.xy, 0u), vec3u(), local);
    let row = corner.y / ROWS;
    if row < params.rows {
        store_partial(group.z, row, corner.x, block_of_row(row, quad_of(corner.x), group.z * BLOCK));
    }
}

@compute @workgroup_size(INVOCATIONS)
fn merge(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * INVOCATIONS + local;
    let count = params.rows * params.columns;
    if i >= count {
        return;
    }
    var total = start(i % params.columns).x;
    for (var first = 0u; first < params.inner; first += BLOCK) {
        total += partial[first / BLOCK * count + i];
    }
    let at = i / params.columns * params.row_stride + i % params.columns * params.column_stride;
    c[at] = finish(at, total);
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
    let own = corner + owned(local);
    var sums = all_rows(start(own.x));
    for (var first = 0u; first < params.inner; first += BLOCK) {
        let end = min(first + BLOCK, params.inner);
        var block = Rows();
        for (var k = first; k < end; k += STEPS) {
            let q = k / 4u + local % 4u;
            let at = min(q, params.a_stride - 1u);
            block_a[row * ROW_QUADS + local % 4u] = select(vec4f(), a[upper + at], q < params.a_stride);
            block_a[(row + SIDE / 2u) * ROW_QUADS + local % 4u] = select(vec4f(), a[lower + at], q < params.a_stride);
            let step = k + local / SIDE_QUADS;
            block_b[local] = b[min(step, bottom) * params.b_stride + right];
            block_b[local + SHARED_INVOCATIONS] = b[min(step + STEPS / 2u, bottom) * params.b_stride + right];
            workgroupBarrier();
            block = add_rows(block, local);
            workgroupBarrier();
        }
        sums = plus(sums, block);
    }
    store_rows(own.y, own.x, sums);
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
    let own = corner + owned(local);
    var sums = all_rows(start(own.x));
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
    store_rows(own.y, own.x, sums);
}
