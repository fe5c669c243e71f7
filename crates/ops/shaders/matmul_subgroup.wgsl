// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 8 rows x 4 columns, with loads shared by 8 invocations.
#import product_quads
#import subgroup

#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn nn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) subgroup_size: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
) {
    let lane = lane(in_subgroup);
    let corner = subgroup_corner(group, groups, subgroup * subgroup_size + in_subgroup);
    let row = min(corner.y + lane.place, params.rows - 1u) * params.a_stride;
    var sums = all_rows(start(corner.x));
    // Lanes past the last column recompute it.
    let right = min(corner.x / 4u, params.b_stride - 1u);
    let bottom = params.inner - 1u;
    for (var first = 0u; first < params.inner; first += BLOCK) {
        let end = min(first + BLOCK, params.inner);
        var block = Rows();
        for (var k = first; k < end; k += 4u) {
            let four = handed(a[row + k / 4u], lane);
            let b0 = b[k * params.b_stride + right];
            var b1 = b[min(k + 1u, bottom) * params.b_stride + right];
            var b2 = b[min(k + 2u, bottom) * params.b_stride + right];
            var b3 = b[min(k + 3u, bottom) * params.b_stride + right];
            if k + 3u > bottom {
                b1 = or_zero(b1, k + 1u <= bottom);
                b2 = or_zero(b2, k + 2u <= bottom);
                b3 = vec4f();
            }
            block = add_four_steps(four, b0, b1, b2, b3, block);
        }
        sums = plus(sums, block);
    }
    store_rows(corner.y, corner.x, sums);
}

#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn tn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) subgroup_size: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
) {
    let lane = lane(in_subgroup);
    let corner = subgroup_corner(group, groups, subgroup * subgroup_size + in_subgroup);
    var sums = all_rows(start(corner.x));
    // Lanes and rows past the last recompute it.
    let right = min(corner.x / 4u, params.b_stride - 1u);
    let upper = min(corner.y / 4u, params.a_stride - 1u);
    let lower = min(corner.y / 4u + 1u, params.a_stride - 1u);
    let bottom = params.inner - 1u;
    for (var k = 0u; k < params.inner; k += SHUFFLE_WIDTH) {
        let mine = k + lane.place;
        let at = min(mine, bottom) * params.a_stride;
        let u = select(vec4f(), a[at + upper], mine <= bottom);
        let l = select(vec4f(), a[at + lower], mine <= bottom);
        var steps = Rows(
            b[k * params.b_stride + right],
            b[min(k + 1u, bottom) * params.b_stride + right],
            b[min(k + 2u, bottom) * params.b_stride + right],
            b[min(k + 3u, bottom) * params.b_stride + right],
            b[min(k + 4u, bottom) * params.b_stride + right],
            b[min(k + 5u, bottom) * params.b_stride + right],
            b[min(k + 6u, bottom) * params.b_stride + right],
            b[min(k + 7u, bottom) * params.b_stride + right],
        );
        if k + 7u > bottom {
            steps = rows_up_to(steps, bottom - k);
        }
        sums = add_eight_steps(u, l, lane, steps, sums);
    }
    store_rows(corner.y, corner.x, sums);
}
