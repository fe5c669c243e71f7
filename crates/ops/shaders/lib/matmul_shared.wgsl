// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m], by way of workgroup memory
// The importing file imports a tile: `shared_fma` or `shared_cooperative`. The result may be stored transposed, which makes
// `nn` serve for a * b^T.
#import product_shared

fn start_of(column: u32) -> vec4f {
    return start(column);
}

fn store_result(part: u32, row: u32, column: u32, value: vec4f) {
    store_quad(row, column, value);
}

#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = shared_corner(group, groups);
    let sums = shared_sums(corner, local, 0u, params.inner, start_sums(corner.x, local));
    store_tile_of_rows(sums, 0u, corner, local);
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
    var sums = start_sums(corner.x, local);
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
    store_tile_of_steps(sums, 0u, corner, local);
}
