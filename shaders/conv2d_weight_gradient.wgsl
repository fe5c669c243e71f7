// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 8 rows (r, s, c) x 2 filters over one chunk of the pixels; the chunks' sums are added later.
// A chunk that began in the window before goes on from its sums.
#import columns
#import weight_gradient

@group(0) @binding(1) var<storage, read> dy: array<f32>;               // [P, K], P = images * out_height * out_width
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;    // [chunks, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

// The sums of the window before. Rows and columns past the last give values that are not stored.
fn stored(chunk: u32, row: u32, column: u32) -> vec2f {
    let rows = window_height * window_width * channels;
    let at = (chunk * rows + min(row, rows - 1u)) * filters;
    return vec2f(partial[at + min(column, filters - 1u)], partial[at + min(column + LANES, filters - 1u)]);
}

fn store(chunk: u32, row: u32, column: u32, value: vec2f) {
    let rows = window_height * window_width * channels;
    if row < rows {
        let at = (chunk * rows + row) * filters + column;
        if column < filters {
            partial[at] = value.x;
        }
        if column + LANES < filters {
            partial[at + LANES] = value.y;
        }
    }
}

@compute @workgroup_size(LANES, ROW_GROUPS)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let column = group.x * TILE_COLUMNS + local.x;
    let row = group.y * TILE_ROWS + local.y * INVOCATION_ROWS;
    let t0 = tap(row);
    let t1 = tap(row + 1u);
    let t2 = tap(row + 2u);
    let t3 = tap(row + 3u);
    let t4 = tap(row + 4u);
    let t5 = tap(row + 5u);
    let t6 = tap(row + 6u);
    let t7 = tap(row + 7u);
    var s0 = vec2f();
    var s1 = vec2f();
    var s2 = vec2f();
    var s3 = vec2f();
    var s4 = vec2f();
    var s5 = vec2f();
    var s6 = vec2f();
    var s7 = vec2f();
    let chunk = params.first_chunk + group.z;
    if chunk * params.chunk < params.begin {
        s0 = stored(chunk, row, column);
        s1 = stored(chunk, row + 1u, column);
        s2 = stored(chunk, row + 2u, column);
        s3 = stored(chunk, row + 3u, column);
        s4 = stored(chunk, row + 4u, column);
        s5 = stored(chunk, row + 5u, column);
        s6 = stored(chunk, row + 6u, column);
        s7 = stored(chunk, row + 7u, column);
    }
    let first = max(chunk * params.chunk, params.begin) - params.begin;
    let end = min((chunk + 1u) * params.chunk, params.end) - params.begin;
    // Dividing per pixel costs more than the products: walk the pixels of the images instead.
    var ox = first % out_width;
    var oy = first / out_width % out_height;
    var image = first / (out_width * out_height) * height * width;
    var at = first * filters + column;
    let inside0 = columns_inside(t0);
    let inside4 = columns_inside(t4);
    let begin = max(inside0.x, inside4.x);
    let stop = min(inside0.y, inside4.y);
    var pixel = first;
    while pixel < end {
        let iy = oy * stride_y;
        let corner = i32((image + iy * width) * channels);
        let in_rows = u32(i32(iy) + t0.x) < height && u32(i32(iy) + t4.x) < height;
        if channels % 4u == 0u && in_rows && ox >= begin && ox < stop {
            // Both taps lie in the image from here to the stretch's end: no tests.
            let stretch = min(end - pixel, min(out_width, stop) - ox);
            let step = channels * stride_x / 4u;
            let start = corner + i32(ox * stride_x * channels);
            var from0 = u32(start + t0.z) / 4u;
            var from4 = u32(start + t4.z) / 4u;
            for (var i = 0u; i < stretch; i++) {
                let b = vec2f(dy[at], dy[at + LANES]);
                let a = x[from0];
                s0 = fma(vec2f(a.x), b, s0);
                s1 = fma(vec2f(a.y), b, s1);
                s2 = fma(vec2f(a.z), b, s2);
                s3 = fma(vec2f(a.w), b, s3);
                let c = x[from4];
                s4 = fma(vec2f(c.x), b, s4);
                s5 = fma(vec2f(c.y), b, s5);
                s6 = fma(vec2f(c.z), b, s6);
                s7 = fma(vec2f(c.w), b, s7);
                at += filters;
                from0 += step;
                from4 += step;
            }
            pixel += stretch;
            ox += stretch;
        } else {
            let ix = ox * stride_x;
            let window = vec3i(i32(iy), i32(ix), corner + i32(ix * channels));
            let b = vec2f(dy[at], dy[at + LANES]);
            let a = load4(window, t0, t1, t2, t3);
            s0 = fma(vec2f(a.x), b, s0);
            s1 = fma(vec2f(a.y), b, s1);
            s2 = fma(vec2f(a.z), b, s2);
            s3 = fma(vec2f(a.w), b, s3);
            let c = load4(window, t4, t5, t6, t7);
            s4 = fma(vec2f(c.x), b, s4);
            s5 = fma(vec2f(c.y), b, s5);
            s6 = fma(vec2f(c.z), b, s6);
            s7 = fma(vec2f(c.w), b, s7);
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
    store(chunk, row + 6u, column, s6);
    store(chunk, row + 7u, column, s7);
}
