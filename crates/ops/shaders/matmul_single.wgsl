// c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n], where there are few rows
// One invocation computes 1 row x 4 columns.
#import product_row

#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn nn(
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
