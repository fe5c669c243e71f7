// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 6 rows (r, s, c) x 2 filters over one chunk of the pixels; the chunks' sums are added later.
// A chunk that began in the previous window continues from its sums.
#import columns
#import weight_gradient

@group(0) @binding(1) var<storage, read> dy: array<f32>;               // [P, K], P = images * out_height * out_width
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;    // [chunks, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

// The sums of the previous window. Rows and columns past the last are computed but not stored.
fn stored(chunk: u32, row: u32, column: u32) -> vec2f {
    let at = (chunk * rows() + min(row, rows() - 1u)) * filters;
    return vec2f(partial[at + min(column, filters - 1u)], partial[at + min(column + LANES, filters - 1u)]);
}

fn store(chunk: u32, row: u32, column: u32, value: vec2f) {
    if row < rows() {
        let at = (chunk * rows() + row) * filters + column;
        if column < filters {
            partial[at] = value.x;
        }
        if column + LANES < filters {
            partial[at + LANES] = value.y;
        }
    }
}

fn value(i: u32) -> f32 {
    return x[i / 4u][i % 4u];
}

// The value of a window at a tap; 0 outside of the image.
fn load(window: vec3i, tap: vec3i) -> f32 {
    let at = address(window, tap);
    return select(0.0, value(u32(max(at, 0))), at >= 0);
}

@compute @workgroup_size(LANES, ROW_GROUPS)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let column = group.x * TILE_COLUMNS + local.x;
    let row = group.y * TILE_ROWS + local.y * INVOCATION_ROWS;
    let last = rows() - 1u;
    let t0 = tap(min(row, last));
    let t1 = tap(min(row + 1u, last));
    let t2 = tap(min(row + 2u, last));
    let t3 = tap(min(row + 3u, last));
    let t4 = tap(min(row + 4u, last));
    let t5 = tap(min(row + 5u, last));
    var s0 = vec2f();
    var s1 = vec2f();
    var s2 = vec2f();
    var s3 = vec2f();
    var s4 = vec2f();
    var s5 = vec2f();
    let chunk = params.first_chunk + group.z;
    if chunk * params.chunk < params.begin {
        s0 = stored(chunk, row, column);
        s1 = stored(chunk, row + 1u, column);
        s2 = stored(chunk, row + 2u, column);
        s3 = stored(chunk, row + 3u, column);
        s4 = stored(chunk, row + 4u, column);
        s5 = stored(chunk, row + 5u, column);
    }
    let first = max(chunk * params.chunk, params.begin) - params.begin;
    let end = min((chunk + 1u) * params.chunk, params.end) - params.begin;
    // Dividing per pixel costs more than the products: walk the pixels of the images instead.
    var ox = first % out_width;
    var oy = first / out_width % out_height;
    var image = first / (out_width * out_height) * height * width;
    var at = first * filters + column;
    let i0 = columns_inside(t0);
    let i1 = columns_inside(t1);
    let i2 = columns_inside(t2);
    let i3 = columns_inside(t3);
    let i4 = columns_inside(t4);
    let i5 = columns_inside(t5);
    let inside = in_both(in_both(in_both(i0, i1), in_both(i2, i3)), in_both(i4, i5));
    let touched = in_either(in_either(in_either(i0, i1), in_either(i2, i3)), in_either(i4, i5));
    let step = channels * stride_x;
    // Rows are in the order of taps: the first row has the uppermost tap, the last the lowest.
    let top = t0.x;
    let bottom = t5.x;
    var pixel = first;
    while pixel < end {
        let iy = i32(oy * stride_y);
        let corner = i32((image + oy * stride_y * width) * channels + ox * step);
        let left = min(end - pixel, out_width - ox);
        if iy + bottom < 0 || iy + top >= i32(height) || ox >= touched.y {
            // No tap is in the image from here to the row's end.
            at += left * filters;
            pixel += left;
            ox += left;
        } else if ox < touched.x {
            let stretch = min(left, touched.x - ox);
            at += stretch * filters;
            pixel += stretch;
            ox += stretch;
        } else if iy + top >= 0 && iy + bottom < i32(height) && ox >= inside.x && ox < inside.y {
            // All taps are in the image from here to the stretch's end: no bounds checks.
            let stretch = min(left, inside.y - ox);
            var from0 = u32(corner + t0.z);
            var from1 = u32(corner + t1.z);
            var from2 = u32(corner + t2.z);
            var from3 = u32(corner + t3.z);
            var from4 = u32(corner + t4.z);
            var from5 = u32(corner + t5.z);
            for (var i = 0u; i < stretch; i++) {
                let b = vec2f(dy[at], dy[at + LANES]);
                s0 = fma(vec2f(value(from0)), b, s0);
                s1 = fma(vec2f(value(from1)), b, s1);
                s2 = fma(vec2f(value(from2)), b, s2);
                s3 = fma(vec2f(value(from3)), b, s3);
                s4 = fma(vec2f(value(from4)), b, s4);
                s5 = fma(vec2f(value(from5)), b, s5);
                at += filters;
                from0 += step;
                from1 += step;
                from2 += step;
                from3 += step;
                from4 += step;
                from5 += step;
            }
            pixel += stretch;
            ox += stretch;
        } else {
            let window = vec3i(iy, i32(ox * stride_x), corner);
            let b = vec2f(dy[at], dy[at + LANES]);
            s0 = fma(vec2f(load(window, t0)), b, s0);
            s1 = fma(vec2f(load(window, t1)), b, s1);
            s2 = fma(vec2f(load(window, t2)), b, s2);
            s3 = fma(vec2f(load(window, t3)), b, s3);
            s4 = fma(vec2f(load(window, t4)), b, s4);
            s5 = fma(vec2f(load(window, t5)), b, s5);
            at += filters;
            pixel++;
            ox++;
        }
        if ox == out_width {
            ox = 0u;
            oy++;
            if oy == out_height {
                oy = 0u;
                image += height * width;
            }
        }
    }
    store(chunk, row, column, s0);
    store(chunk, row + 1u, column, s1);
    store(chunk, row + 2u, column, s2);
    store(chunk, row + 3u, column, s3);
    store(chunk, row + 4u, column, s4);
    store(chunk, row + 5u, column, s5);
}
