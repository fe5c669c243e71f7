// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 8 rows x 4 columns. The result may be stored transposed, which makes `nn` serve for a * b^T.
// `shared_nn` and `shared_tn` compute the same by way of workgroup memory, 8 rows x 8 columns; `split` and `merge` compute
// blocks of the inner axis side by side.
#import product_quads
#import shared

@group(0) @binding(6) var<storage, read> partial: array<f32>; // [blocks, M, N]

// Four rows of b from row k on, of one quad of columns.
struct FourSteps { b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f }

fn four_steps(k: u32, right: u32) -> FourSteps {
    let bottom = params.inner - 1u;
    var four = FourSteps(
        b[k * params.b_stride + right],
        b[min(k + 1u, bottom) * params.b_stride + right],
        b[min(k + 2u, bottom) * params.b_stride + right],
        b[min(k + 3u, bottom) * params.b_stride + right],
    );
    if k + 3u > bottom {
        four.b1 = or_zero(four.b1, k + 1u <= bottom);
        four.b2 = or_zero(four.b2, k + 2u <= bottom);
        four.b3 = vec4f();
    }
    return four;
}

// The sums of one block of the inner axis, from `first` on, for 8 rows.
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
    let end = min(first + BLOCK, params.inner);
    var sums = Rows();
    for (var k = first; k < end; k += 4u) {
        let q = k / 4u;
        let four = Rows(a[a0 + q], a[a1 + q], a[a2 + q], a[a3 + q], a[a4 + q], a[a5 + q], a[a6 + q], a[a7 + q]);
        let steps = four_steps(k, right);
        sums = add_four_steps(four, steps.b0, steps.b1, steps.b2, steps.b3, sums);
    }
    return sums;
}

// The quad of a column. Lanes past the last column compute it once more.
fn quad_of(column: u32) -> u32 {
    return min(column / 4u, params.b_stride - 1u);
}

#gpu_only
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

#gpu_only
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
    let end = min(first + BLOCK, params.inner);
    var sum = vec4f();
    for (var k = first; k < end; k += 4u) {
        let steps = four_steps(k, right);
        sum = multiply_add_quads(a[from_a + k / 4u], steps.b0, steps.b1, steps.b2, steps.b3, sum);
    }
    return sum;
}

// nn where there are few rows: one invocation computes 1 row x 4 columns.
#gpu_only
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

// `single` where workgroups would be few: blocks run along z, and their sums [blocks, M, N] are added by `merge`.
#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn split_single(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = corner(vec3u(group.xy, 0u), vec3u(), local);
    let row = corner.y / ROWS;
    if row < params.rows {
        store_partial(group.z, row, corner.x, block_of_row(row, quad_of(corner.x), group.z * BLOCK));
    }
}

#gpu_only
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

// Four steps of a row of a.
fn row_steps(row: u32, four: u32) -> vec4f {
    return a[min(row, params.rows - 1u) * params.a_stride + min(four, params.a_stride - 1u)];
}

// Four columns of a step of b. Lanes past the last column compute it once more.
fn step_columns(step: u32, quad: u32) -> vec4f {
    return b[min(step, params.inner - 1u) * params.b_stride + min(quad, params.b_stride - 1u)];
}

// The part of b that an invocation loads of the 16 steps from k on, beside what it loads of a.
fn load_b(corner: vec2u, local: u32, k: u32, rows: Rows, rows_there: u32) -> Loaded {
    let quad = corner.x / 4u + loaded_quad(local);
    let step = vec4u(loaded_step(local, 0u), loaded_step(local, 1u), loaded_step(local, 2u), loaded_step(local, 3u)) + k;
    let there = rows_there | steps_there(step, params.inner);
    var loaded = Loaded(rows, step_columns(step.x, quad), step_columns(step.y, quad), vec4f(), vec4f(), there);
    if !narrow() {
        loaded.b2 = step_columns(step.z, quad);
        loaded.b3 = step_columns(step.w, quad);
    }
    return loaded;
}

fn load_nn(corner: vec2u, local: u32, k: u32) -> Loaded {
    let four = k / 4u + loaded_four(local);
    let row = corner.y;
    var rows = Rows();
    rows.r0 = row_steps(row + loaded_row(local, 0u), four);
    rows.r1 = row_steps(row + loaded_row(local, 1u), four);
    rows.r2 = row_steps(row + loaded_row(local, 2u), four);
    rows.r3 = row_steps(row + loaded_row(local, 3u), four);
    if narrow() {
        rows.r4 = row_steps(row + loaded_row(local, 4u), four);
        rows.r5 = row_steps(row + loaded_row(local, 5u), four);
        rows.r6 = row_steps(row + loaded_row(local, 6u), four);
        rows.r7 = row_steps(row + loaded_row(local, 7u), four);
    }
    return load_b(corner, local, k, rows, select(0u, ALL_OF_A, four < params.a_stride));
}

// The sums of steps from `first` up to `end`, in blocks of the inner axis.
fn shared_sums(corner: vec2u, local: u32, first: u32, end: u32, start: Sums) -> Sums {
    var sums = start;
    var block = Sums();
    var loaded = load_nn(corner, local, first);
    for (var k = first; k < end; k += STEPS) {
        put_rows(loaded, local);
        workgroupBarrier();
        let after = k + STEPS;
        if after < end {
            loaded = load_nn(corner, local, after);
        }
        block = add_rows(block, local);
        workgroupBarrier();
        if after % BLOCK == 0u || after >= end {
            sums = plus_sums(sums, block);
            block = Sums();
        }
    }
    return sums;
}

#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = shared_corner(group, groups);
    let left = corner.x + left_column(local);
    let right = corner.x + right_column(local);
    var sums = shared_sums(corner, local, 0u, params.inner, sums_of(start(left), start(right)));
    for (var i = 0u; i < ROWS; i++) {
        let row = corner.y + strided_row(local, i);
        store_quad(row, left, sums.left.r0);
        store_quad(row, right, sums.right.r0);
        sums = next_sums(sums);
    }
}

// `shared_nn` where workgroups would be few: blocks run along z, and their sums [blocks, M, N] are added by `merge`.
#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn split(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = shared_corner(vec3u(group.xy, 0u), vec3u());
    let first = group.z * BLOCK;
    var sums = shared_sums(corner, local, first, min(first + BLOCK, params.inner), Sums());
    for (var i = 0u; i < ROWS; i++) {
        let row = corner.y + strided_row(local, i);
        store_partial(group.z, row, corner.x + left_column(local), sums.left.r0);
        store_partial(group.z, row, corner.x + right_column(local), sums.right.r0);
        sums = next_sums(sums);
    }
}

// Four rows of a step of a. Rows past the last compute it once more.
fn step_rows(step: u32, quad: u32) -> vec4f {
    return a[min(step, params.inner - 1u) * params.a_stride + min(quad, params.a_stride - 1u)];
}

fn load_tn(corner: vec2u, local: u32, k: u32) -> Loaded {
    let quad = corner.y / 4u + loaded_row_quad(local);
    var rows = Rows();
    rows.r0 = step_rows(k + loaded_row_step(local, 0u), quad);
    rows.r1 = step_rows(k + loaded_row_step(local, 1u), quad);
    rows.r2 = step_rows(k + loaded_row_step(local, 2u), quad);
    rows.r3 = step_rows(k + loaded_row_step(local, 3u), quad);
    if narrow() {
        rows.r4 = step_rows(k + loaded_row_step(local, 4u), quad);
        rows.r5 = step_rows(k + loaded_row_step(local, 5u), quad);
        rows.r6 = step_rows(k + loaded_row_step(local, 6u), quad);
        rows.r7 = step_rows(k + loaded_row_step(local, 7u), quad);
    }
    return load_b(corner, local, k, rows, row_steps_there(local, k, params.inner));
}

#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_tn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = shared_corner(group, groups);
    let left = corner.x + left_column(local);
    let right = corner.x + right_column(local);
    var sums = sums_of(start(left), start(right));
    var loaded = load_tn(corner, local, 0u);
    for (var k = 0u; k < params.inner; k += STEPS) {
        put_steps(loaded, local);
        workgroupBarrier();
        if k + STEPS < params.inner {
            loaded = load_tn(corner, local, k + STEPS);
        }
        sums = add_steps(sums, local);
        workgroupBarrier();
    }
    for (var i = 0u; i < ROWS; i++) {
        let row = corner.y + quad_row(local, i);
        store_quad(row, left, sums.left.r0);
        store_quad(row, right, sums.right.r0);
        sums = next_sums(sums);
    }
}
