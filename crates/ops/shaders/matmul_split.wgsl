// partial[block, m, n] = sum over the k of a block of a[m, k] * b[k, n]; c[m, n] = bias[n] + sum over blocks of partial
// As `matmul_shared` (`tiles`) and `matmul_single` (`single`), with blocks of the inner axis along z, for products of too few
// workgroups; `merge`: one invocation computes one element.
#import product_row
#import shared_fma
#import split_tiles

#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn single(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
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
