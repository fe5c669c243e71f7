// A convolution where one invocation computes 6 pixels x 2 columns.
#import columns
#import convolution

fn value(i: u32) -> f32 {
    return source[i / 4u][i % 4u];
}

// Whether all taps of a pixel are in the source.
fn inside(pixel: vec3i) -> bool {
    return address(pixel, 0u, 0u) >= 0 && address(pixel, window_height - 1u, window_width - 1u) >= 0;
}

// The position of a pixel behind the one at `at`, which is the last one if there is no other.
fn following(at: vec3u, pixel: u32, size: vec2u) -> vec3u {
    if pixel < params.pixels {
        return next(at, size.x, size.y);
    }
    return at;
}

fn store(pixel: u32, column: u32, value: vec2f) {
    if pixel < params.pixels {
        let at = result_pixel(pixel) * columns + column;
        if column < columns {
            result[at] = finish(at, value.x);
        }
        if column + LANES < columns {
            result[at + LANES] = finish(at + LANES, value.y);
        }
    }
}

@compute @workgroup_size(LANES, ROW_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = group.x * TILE_COLUMNS + local.x;
    let pixel = first_row(group, groups, local);
    if pixel >= params.pixels {
        return;
    }
    // One division for six pixels: with few channels, they cost as much as the products.
    let size = grid();
    let at0 = place(pixel, size.x, size.y);
    let at1 = following(at0, pixel + 1u, size);
    let at2 = following(at1, pixel + 2u, size);
    let at3 = following(at2, pixel + 3u, size);
    let at4 = following(at3, pixel + 4u, size);
    let at5 = following(at4, pixel + 5u, size);
    let p0 = window_at(at0);
    let p1 = window_at(at1);
    let p2 = window_at(at2);
    let p3 = window_at(at3);
    let p4 = window_at(at4);
    let p5 = window_at(at5);
    var s0 = vec2f();
    if has_bias {
        s0 = vec2f(bias[column], bias[column + LANES]);
    }
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    // A contiguous run of taps in the source.
    var together = neighbours();
    if together > 1u {
        let whole = inside(p0) && inside(p1) && inside(p2) && inside(p3) && inside(p4) && inside(p5);
        together = select(1u, together, whole);
    }
    let length = together * depth;
    let first = first_tap();
    let step = tap_step();
    var w = column;
    for (var r = first.x; r < window_height; r += step.x) {
        for (var s = first.y; s < window_width; s += step.y * together) {
            if skips_taps() {
                w = (r * window_width + s) * depth * columns + column;
            }
            let a0 = address(p0, r, s);
            let a1 = address(p1, r, s);
            let a2 = address(p2, r, s);
            let a3 = address(p3, r, s);
            let a4 = address(p4, r, s);
            let a5 = address(p5, r, s);
            // No bounds checks in the inner loops: a tap outside of the image reads the first pixel, and the result is dropped.
            let c0 = u32(max(a0, 0));
            let c1 = u32(max(a1, 0));
            let c2 = u32(max(a2, 0));
            let c3 = u32(max(a3, 0));
            let c4 = u32(max(a4, 0));
            let c5 = u32(max(a5, 0));
            var t0 = s0;
            var t1 = s1;
            var t2 = s2;
            var t3 = s3;
            var t4 = s4;
            var t5 = s5;
            if depth % 4u == 0u {
                for (var d = 0u; d < length; d += 4u) {
                    let b0 = vec2f(weights[w], weights[w + LANES]);
                    let b1 = vec2f(weights[w + columns], weights[w + columns + LANES]);
                    let b2 = vec2f(weights[w + 2u * columns], weights[w + 2u * columns + LANES]);
                    let b3 = vec2f(weights[w + 3u * columns], weights[w + 3u * columns + LANES]);
                    t0 = multiply_add4(source[(c0 + d) / 4u], b0, b1, b2, b3, t0);
                    t1 = multiply_add4(source[(c1 + d) / 4u], b0, b1, b2, b3, t1);
                    t2 = multiply_add4(source[(c2 + d) / 4u], b0, b1, b2, b3, t2);
                    t3 = multiply_add4(source[(c3 + d) / 4u], b0, b1, b2, b3, t3);
                    t4 = multiply_add4(source[(c4 + d) / 4u], b0, b1, b2, b3, t4);
                    t5 = multiply_add4(source[(c5 + d) / 4u], b0, b1, b2, b3, t5);
                    w += 4u * columns;
                }
            } else {
                for (var d = 0u; d < length; d++) {
                    let b = vec2f(weights[w], weights[w + LANES]);
                    t0 = fma(vec2f(value(c0 + d)), b, t0);
                    t1 = fma(vec2f(value(c1 + d)), b, t1);
                    t2 = fma(vec2f(value(c2 + d)), b, t2);
                    t3 = fma(vec2f(value(c3 + d)), b, t3);
                    t4 = fma(vec2f(value(c4 + d)), b, t4);
                    t5 = fma(vec2f(value(c5 + d)), b, t5);
                    w += columns;
                }
            }
            s0 = select(s0, t0, a0 >= 0);
            s1 = select(s1, t1, a1 >= 0);
            s2 = select(s2, t2, a2 >= 0);
            s3 = select(s3, t3, a3 >= 0);
            s4 = select(s4, t4, a4 >= 0);
            s5 = select(s5, t5, a5 >= 0);
        }
    }
    store(pixel, column, s0);
    store(pixel + 1u, column, s1);
    store(pixel + 2u, column, s2);
    store(pixel + 3u, column, s3);
    store(pixel + 4u, column, s4);
    store(pixel + 5u, column, s5);
}
