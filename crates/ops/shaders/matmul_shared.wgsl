// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One workgroup computes 64 x 64 or 128 x 32 by way of its memory, one invocation 8 rows x 8 columns. The result may be
// stored transposed, which makes `nn` serve for a * b^T.
#import product_shared

#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn nn(
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
fn tn(
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
