// A convolution where one invocation computes 8 pixels x 4 columns and loads four neighbouring values at once. `shared_tiles`
// computes the same by way of workgroup memory.
#import convolution
#import shared

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
            // No test in the inner loop: a tap outside the image reads the first pixel, and what comes of it is dropped.
            let u = vec4u(max(upper, vec4i())) / 4u;
            let l = vec4u(max(lower, vec4i())) / 4u;
            var t = sums;
            let tap = (r * window_width + s) * inner;
            for (var d = 0u; d < depth; d += 4u) {
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
                // Where the source is filled up with zeros, any weight will do.
                let b0 = weights4[(tap + d) * stride + w];
                let b1 = weights4[(tap + min(d + 1u, inner - 1u)) * stride + w];
                let b2 = weights4[(tap + min(d + 2u, inner - 1u)) * stride + w];
                let b3 = weights4[(tap + min(d + 3u, inner - 1u)) * stride + w];
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

// The second of each row whose tap lies in the image, the first of the others.
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

// How many taps there are along y and x.
fn tap_counts() -> vec2u {
    let step = tap_step();
    return (vec2u(window_height, window_width) + step - 1u - first_tap()) / step;
}

// The place (r, s) of a tap by its number.
fn tap_place(tap: u32) -> vec2u {
    let across = tap_counts().y;
    return first_tap() + vec2u(tap / across, tap % across) * tap_step();
}

// Four values of the source that follow the tap of a pixel; 0 outside the image and past the last tap.
fn tap_quad(pixel: vec3i, tap: u32, taps: u32, q: u32) -> vec4f {
    let at_tap = tap_place(tap);
    let at = address(pixel, at_tap.x, at_tap.y);
    return select(vec4f(), source[u32(max(at, 0)) / 4u + q], at >= 0 && tap < taps);
}

// Four columns of the weights for a step along taps and channels. Where the source is 0, any weight will do.
fn weight_quad(step: u32, taps: u32, column: u32) -> vec4f {
    let tap = tap_place(min(step / depth, taps - 1u));
    let row = (tap.x * window_width + tap.y) * inner + min(step % depth, inner - 1u);
    let stride = (columns + 3u) / 4u;
    return weights4[row * stride + min(column, stride - 1u)];
}

@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_tiles(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = shared_corner(group, groups);
    let last = params.pixels - 1u;
    let row = local / 4u;
    let upper = locate(min(corner.y + row, last));
    let lower = locate(min(corner.y + row + SIDE / 2u, last));
    let column = corner.x / 4u + local % SIDE_QUADS;
    let own = corner + owned(local);
    var sums = all_rows(bias_quad(own.x));
    let counts = tap_counts();
    let taps = counts.x * counts.y;
    for (var k = 0u; k < taps * depth; k += STEPS) {
        let at = k + local % 4u * 4u;
        let tap = at / depth;
        let q = at % depth / 4u;
        block_a[row * ROW_QUADS + local % 4u] = tap_quad(upper, tap, taps, q);
        block_a[(row + SIDE / 2u) * ROW_QUADS + local % 4u] = tap_quad(lower, tap, taps, q);
        let step = k + local / SIDE_QUADS;
        block_b[local] = weight_quad(step, taps, column);
        block_b[local + SHARED_INVOCATIONS] = weight_quad(step + STEPS / 2u, taps, column);
        workgroupBarrier();
        sums = add_rows(sums, local);
        workgroupBarrier();
    }
    for (var i = 0u; i < ROWS; i++) {
        store_quad(own.y + i, own.x, sums.r0);
        sums = next_row(sums);
    }
}
