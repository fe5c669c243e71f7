// A convolution where one invocation computes 8 pixels x 4 columns and loads four adjacent values at once.
#import convolution
#import quads

#gpu_only
@compute @workgroup_size(INVOCATIONS)
fn quads(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = corner(group, groups, local);
    let column = corner.x;
    let pixel = corner.y;
    if pixel >= params.pixels {
        return;
    }
    let last = params.pixels - 1u;
    let p0 = locate(min(pixel, last));
    let p1 = locate(min(pixel + 1u, last));
    let p2 = locate(min(pixel + 2u, last));
    let p3 = locate(min(pixel + 3u, last));
    let p4 = locate(min(pixel + 4u, last));
    let p5 = locate(min(pixel + 5u, last));
    let p6 = locate(min(pixel + 6u, last));
    let p7 = locate(min(pixel + 7u, last));
    var sums = all_rows(bias_quad(column));
    // Lanes past the last column compute it once more.
    let stride = (columns + 3u) / 4u;
    let w = min(column / 4u, stride - 1u);
    let first = first_tap();
    let step = tap_step();
    for (var r = first.x; r < window_height; r += step.x) {
        for (var s = first.y; s < window_width; s += step.y) {
            let upper = vec4i(address(p0, r, s), address(p1, r, s), address(p2, r, s), address(p3, r, s));
            let lower = vec4i(address(p4, r, s), address(p5, r, s), address(p6, r, s), address(p7, r, s));
            // No bounds check in the inner loop: a tap outside of the image reads the first pixel, and the result is dropped.
            let u = vec4u(max(upper, vec4i())) / 4u;
            let l = vec4u(max(lower, vec4i())) / 4u;
            var t = sums;
            let tap = (r * window_width + s) * inner;
            for (var d = 0u; d < params.channels; d += 4u) {
                let q = d / 4u;
                let a = Rows(
                    source[u.x + q],
                    source[u.y + q],
                    source[u.z + q],
                    source[u.w + q],
                    source[l.x + q],
                    source[l.y + q],
                    source[l.z + q],
                    source[l.w + q],
                );
                let b0 = weights4[(tap + d) * stride + w];
                let b1 = channel_weights(tap, d + 1u, stride, w);
                let b2 = channel_weights(tap, d + 2u, stride, w);
                let b3 = channel_weights(tap, d + 3u, stride, w);
                t = add_four_steps(a, b0, b1, b2, b3, t);
            }
            sums = where_inside(sums, t, upper >= vec4i(), lower >= vec4i());
        }
    }
    for (var i = 0u; i < ROWS; i++) {
        store_quad(pixel + i, column, sums.r0);
        sums = next_row(sums);
    }
}

// Selects the second value in rows whose tap is in the image, else the first.
fn where_inside(s: Rows, t: Rows, upper: vec4<bool>, lower: vec4<bool>) -> Rows {
    return Rows(
        select(s.r0, t.r0, upper.x),
        select(s.r1, t.r1, upper.y),
        select(s.r2, t.r2, upper.z),
        select(s.r3, t.r3, upper.w),
        select(s.r4, t.r4, lower.x),
        select(s.r5, t.r5, lower.y),
        select(s.r6, t.r6, lower.z),
        select(s.r7, t.r7, lower.w),
    );
}
