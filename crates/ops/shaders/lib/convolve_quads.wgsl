// A convolution where one invocation computes 8 pixels x 4 columns and loads four adjacent values at once. `shared_tiles`
// computes 8 x 8 through workgroup memory.
#import convolution
#import shared

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

// The number of taps along y and x.
fn tap_counts() -> vec2u {
    let step = tap_step();
    return (vec2u(window_height, window_width) + step - 1u - first_tap()) / step;
}

// The position (r, s) of a tap by its index.
fn tap_place(tap: u32) -> vec2u {
    let across = tap_counts().y;
    return first_tap() + vec2u(tap / across, tap % across) * tap_step();
}

// Four values of the source from here on; those of the first pixel for a tap outside of the image.
fn tap_quad(at: i32, q: u32) -> vec4f {
    return source[u32(max(at, 0)) / 4u + q];
}

// A bit mask of the values that are not -1.
fn addressed(upper: vec4i, lower: vec4i) -> u32 {
    let u = select(vec4u(), vec4u(1u, 2u, 4u, 8u), upper >= vec4i());
    let l = select(vec4u(), vec4u(16u, 32u, 64u, 128u), lower >= vec4i());
    let bits = u | l;
    return bits.x | bits.y | bits.z | bits.w;
}

// The row of the weights for a step along taps and channels, or -1 past the last tap and for padding channels.
fn weight_row(step: u32, taps: u32) -> i32 {
    if depth == inner && !skips_taps() {
        return select(-1, i32(step), step < taps * depth);
    }
    let tap = tap_place(min(step / depth, taps - 1u));
    let channel = step % depth;
    let row = (tap.x * window_width + tap.y) * inner + channel;
    return select(-1, i32(row), step < taps * depth && channel < inner);
}

// Four columns of a row of the weights. Lanes past the last column recompute it.
fn weight_quad(row: i32, column: u32) -> vec4f {
    let stride = (columns + 3u) / 4u;
    return weights4[u32(max(row, 0)) * stride + min(column, stride - 1u)];
}

// The part of source and weights that an invocation loads of the 16 steps from k on.
fn load_steps(pixels: Pixels, column: u32, local: u32, k: u32, taps: u32) -> Loaded {
    let step = k + loaded_four(local) * 4u;
    let tap = step / depth;
    let q = step % depth / 4u;
    let at = tap_place(tap);
    let upper = vec4i(
        address(pixels.p0, at.x, at.y),
        address(pixels.p1, at.x, at.y),
        address(pixels.p2, at.x, at.y),
        address(pixels.p3, at.x, at.y),
    );
    var rows = Rows();
    rows.r0 = tap_quad(upper.x, q);
    rows.r1 = tap_quad(upper.y, q);
    rows.r2 = tap_quad(upper.z, q);
    rows.r3 = tap_quad(upper.w, q);
    var lower = vec4i();
    if narrow() {
        lower = vec4i(
            address(pixels.p4, at.x, at.y),
            address(pixels.p5, at.x, at.y),
            address(pixels.p6, at.x, at.y),
            address(pixels.p7, at.x, at.y),
        );
        rows.r4 = tap_quad(lower.x, q);
        rows.r5 = tap_quad(lower.y, q);
        rows.r6 = tap_quad(lower.z, q);
        rows.r7 = tap_quad(lower.w, q);
    }
    let w = vec4i(
        weight_row(k + loaded_step(local, 0u), taps),
        weight_row(k + loaded_step(local, 1u), taps),
        weight_row(k + loaded_step(local, 2u), taps),
        weight_row(k + loaded_step(local, 3u), taps),
    );
    let there = select(0u, addressed(upper, lower), tap < taps) | addressed(w, vec4i(-1)) << FIRST_OF_B;
    var loaded = Loaded(rows, weight_quad(w.x, column), weight_quad(w.y, column), vec4f(), vec4f(), there);
    if !narrow() {
        loaded.b2 = weight_quad(w.z, column);
        loaded.b3 = weight_quad(w.w, column);
    }
    return loaded;
}

// The windows of the pixels that an invocation loads.
struct Pixels { p0: vec3i, p1: vec3i, p2: vec3i, p3: vec3i, p4: vec3i, p5: vec3i, p6: vec3i, p7: vec3i }

fn pixels_of(first: u32, local: u32) -> Pixels {
    let last = params.pixels - 1u;
    var pixels: Pixels;
    pixels.p0 = locate(min(first + loaded_row(local, 0u), last));
    pixels.p1 = locate(min(first + loaded_row(local, 1u), last));
    pixels.p2 = locate(min(first + loaded_row(local, 2u), last));
    pixels.p3 = locate(min(first + loaded_row(local, 3u), last));
    if narrow() {
        pixels.p4 = locate(min(first + loaded_row(local, 4u), last));
        pixels.p5 = locate(min(first + loaded_row(local, 5u), last));
        pixels.p6 = locate(min(first + loaded_row(local, 6u), last));
        pixels.p7 = locate(min(first + loaded_row(local, 7u), last));
    }
    return pixels;
}

#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_tiles(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let corner = shared_corner(group, groups);
    let left = corner.x + left_column(local);
    let right = corner.x + right_column(local);
    let pixels = pixels_of(corner.y, local);
    let column = corner.x / 4u + loaded_quad(local);
    let counts = tap_counts();
    let taps = counts.x * counts.y;
    let steps = taps * depth;
    var sums = sums_of(bias_quad(left), bias_quad(right));
    var loaded = load_steps(pixels, column, local, 0u, taps);
    for (var k = 0u; k < steps; k += STEPS) {
        put_rows(loaded, local);
        workgroupBarrier();
        if k + STEPS < steps {
            loaded = load_steps(pixels, column, local, k + STEPS, taps);
        }
        sums = add_rows(sums, local);
        workgroupBarrier();
    }
    for (var i = 0u; i < ROWS; i++) {
        let pixel = corner.y + strided_row(local, i);
        store_quad(pixel, left, sums.left.r0);
        store_quad(pixel, right, sums.right.r0);
        sums = next_sums(sums);
    }
}
