// partial[block, m, n] = sum over the k of a block of a[m, k] * b[k, n], by way of workgroup memory.
// The importing file imports a tile: `shared_fma` or `shared_cooperative`.
#import product_shared
#import split

fn start_of(column: u32) -> vec4f {
    return vec4f();
}

fn store_result(part: u32, row: u32, column: u32, value: vec4f) {
    store_partial(part, row, column, value);
}

#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn tiles(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = shared_corner(vec3u(group.xy, 0u), vec3u());
    let first = group.z * BLOCK;
    let sums = block_sums(corner, local, first, min(first + BLOCK, params.inner));
    store_tile_of_rows(sums, group.z, corner, local);
}
