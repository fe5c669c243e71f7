// The same as `convolve` where an invocation loads four neighbouring values as fast as one: 8 pixels x 4 columns. `shared_tiles`
// computes the same by way of workgroup memory.
#import convolve
#import shared

override inner: u32; // channels of the source that are not filled up: rows of a tap in the weights

@group(0) @binding(6) var<storage, read> weights4: array<vec4f>; // [R, S, inner, K / 4], K filled up to a multiple of 4

fn store_quad(pixel: u32, column: u32, value: vec4f) {
    if pixel < params.pixels {
        for (var i = 0u; i < 4u; i++) {
            if column + i < columns {
                let at = result_pixel(pixel) * columns + column + i;
                result[at] = finish(at, value[i]);
            }
        }
    }
}

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
    var s0 = vec4f();
    if has_bias {
        s0 = vec4f(bias[column], bias[column + 1u], bias[column + 2u], bias[column + 3u]);
    }
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    var s6 = s0;
    var s7 = s0;
    // Lanes past the last column compute it once more.
    let stride = (columns + 3u) / 4u;
    let w = min(column / 4u, stride - 1u);
    let first = first_tap();
    let step = tap_step();
    for (var r = first.x; r < window_height; r += step.x) {
        for (var s = first.y; s < window_width; s += step.y) {
            let a0 = address(p0, r, s);
            let a1 = address(p1, r, s);
            let a2 = address(p2, r, s);
            let a3 = address(p3, r, s);
            let a4 = address(p4, r, s);
            let a5 = address(p5, r, s);
            let a6 = address(p6, r, s);
            let a7 = address(p7, r, s);
            // No test in the inner loop: a tap outside the image reads the first pixel, and what comes of it is dropped.
            let c0 = u32(max(a0, 0)) / 4u;
            let c1 = u32(max(a1, 0)) / 4u;
            let c2 = u32(max(a2, 0)) / 4u;
            let c3 = u32(max(a3, 0)) / 4u;
            let c4 = u32(max(a4, 0)) / 4u;
            let c5 = u32(max(a5, 0)) / 4u;
            let c6 = u32(max(a6, 0)) / 4u;
            let c7 = u32(max(a7, 0)) / 4u;
            var t0 = s0;
            var t1 = s1;
            var t2 = s2;
            var t3 = s3;
            var t4 = s4;
            var t5 = s5;
            var t6 = s6;
            var t7 = s7;
            let tap = (r * window_width + s) * inner;
            for (var d = 0u; d < depth; d += 4u) {
                // Where the source is filled up with zeros, any weight will do.
                let b0 = weights4[(tap + d) * stride + w];
                let b1 = weights4[(tap + min(d + 1u, inner - 1u)) * stride + w];
                let b2 = weights4[(tap + min(d + 2u, inner - 1u)) * stride + w];
                let b3 = weights4[(tap + min(d + 3u, inner - 1u)) * stride + w];
                let q = d / 4u;
                t0 = multiply_add_quads(source[c0 + q], b0, b1, b2, b3, t0);
                t1 = multiply_add_quads(source[c1 + q], b0, b1, b2, b3, t1);
                t2 = multiply_add_quads(source[c2 + q], b0, b1, b2, b3, t2);
                t3 = multiply_add_quads(source[c3 + q], b0, b1, b2, b3, t3);
                t4 = multiply_add_quads(source[c4 + q], b0, b1, b2, b3, t4);
                t5 = multiply_add_quads(source[c5 + q], b0, b1, b2, b3, t5);
                t6 = multiply_add_quads(source[c6 + q], b0, b1, b2, b3, t6);
                t7 = multiply_add_quads(source[c7 + q], b0, b1, b2, b3, t7);
            }
            s0 = select(s0, t0, a0 >= 0);
            s1 = select(s1, t1, a1 >= 0);
            s2 = select(s2, t2, a2 >= 0);
            s3 = select(s3, t3, a3 >= 0);
            s4 = select(s4, t4, a4 >= 0);
            s5 = select(s5, t5, a5 >= 0);
            s6 = select(s6, t6, a6 >= 0);
            s7 = select(s7, t7, a7 >= 0);
        }
    }
    for (var i = 0u; i < 8u; i++) {
        store_quad(pixel + i, column, s0);
        s0 = s1;
        s1 = s2;
        s2 = s3;
        s3 = s4;
        s4 = s5;
        s5 = s6;
        s6 = s7;
    }
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
    var s = vec4f();
    if has_bias {
        s = vec4f(bias[own.x], bias[own.x + 1u], bias[own.x + 2u], bias[own.x + 3u]);
    }
    var sums = Sums(s, s, s, s, s, s, s, s);
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
        store_quad(own.y + i, own.x, sums.s0);
        sums = next_row(sums);
    }
}
