// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 8 rows x 4 columns. The result may be stored transposed, which makes `nn` serve for a * b^T.
#import product_steps

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
