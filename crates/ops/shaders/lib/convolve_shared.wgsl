// A convolution by way of workgroup memory. The importing file imports a tile: `shared_fma` or `shared_cooperative`.
#import convolution

fn start_of(column: u32) -> vec4f {
    return bias_quad(column);
}

fn store_result(part: u32, row: u32, column: u32, value: vec4f) {
    store_quad(row, column, value);
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

// The part of source and weights that an invocation loads of the block from k on.
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
    let pixels = pixels_of(corner.y, local);
    let column = corner.x / 4u + loaded_quad(local);
    let counts = tap_counts();
    let taps = counts.x * counts.y;
    let steps = taps * depth;
    var sums = start_sums(corner.x, local);
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
    store_tile_of_rows(sums, 0u, corner, local);
}
