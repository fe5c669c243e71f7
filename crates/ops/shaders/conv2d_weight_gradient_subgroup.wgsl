// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 8 rows (r, s, c) x 4 filters over one chunk of the pixels, with loads shared by 8 invocations; the
// chunks' sums are added later.
#import subgroup
#import weight_gradient_quads

#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) subgroup_size: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
) {
    let lane = lane(in_subgroup);
    let local = subgroup * subgroup_size + in_subgroup;
    let corner = subgroup_corner(vec3u(group.xy, 0u), vec3u(), local); // chunks run along z
    let upper = quad_tap(corner.y);
    let lower = quad_tap(corner.y + 4u);
    let first = group.z * params.chunk;
    let end = min(first + params.chunk, params.end);
    // Lanes past the last column recompute it.
    let across = (filters + 3u) / 4u;
    let column = min(corner.x / 4u, across - 1u);
    let last = (end - 1u) * across + column;
    var sums = Rows();
    var at = first * across + column;
    for (var pixel = first; pixel < end; pixel += SHUFFLE_WIDTH) {
        let u = row_quad(pixel + lane.place, end, upper);
        let l = row_quad(pixel + lane.place, end, lower);
        var steps = Rows(
            dy[at],
            dy[min(at + across, last)],
            dy[min(at + 2u * across, last)],
            dy[min(at + 3u * across, last)],
            dy[min(at + 4u * across, last)],
            dy[min(at + 5u * across, last)],
            dy[min(at + 6u * across, last)],
            dy[min(at + 7u * across, last)],
        );
        if pixel + SHUFFLE_WIDTH > end {
            steps = rows_up_to(steps, end - 1u - pixel);
        }
        sums = add_eight_steps(u, l, lane, steps, sums);
        at += SHUFFLE_WIDTH * across;
    }
    store_rows(group.z, corner.y, corner.x, sums);
}
