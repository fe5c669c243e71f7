// A convolution where one invocation computes 8 pixels x 4 columns, and 8 invocations share their loads of the source.
#import convolution
#import subgroup

#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) subgroup_size: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
) {
    let lane = lane(in_subgroup);
    let corner = subgroup_corner(group, groups, subgroup * subgroup_size + in_subgroup);
    let pixel = locate(min(corner.y + lane.place, params.pixels - 1u));
    var sums = all_rows(bias_quad(corner.x));
    // Lanes past the last column recompute it.
    let stride = (columns + 3u) / 4u;
    let w = min(corner.x / 4u, stride - 1u);
    let first = first_tap();
    let step = tap_step();
    for (var r = first.x; r < window_height; r += step.x) {
        for (var s = first.y; s < window_width; s += step.y) {
            let at = address(pixel, r, s);
            let start = u32(max(at, 0)) / 4u;
            let tap = (r * window_width + s) * inner;
            for (var d = 0u; d < depth; d += 4u) {
                let a = handed(select(vec4f(), source[start + d / 4u], at >= 0), lane);
                let b0 = weights4[(tap + d) * stride + w];
                let b1 = channel_weights(tap, d + 1u, stride, w);
                let b2 = channel_weights(tap, d + 2u, stride, w);
                let b3 = channel_weights(tap, d + 3u, stride, w);
                sums = add_four_steps(a, b0, b1, b2, b3, sums);
            }
        }
    }
    for (var i = 0u; i < ROWS; i++) {
        store_quad(corner.y + i, corner.x, sums.r0);
        sums = next_row(sums);
    }
}
