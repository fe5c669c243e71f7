// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 8 rows (r, s, c) x 4 filters over one chunk of the pixels; the chunks' sums are added later.
// Channels of x and filters of dy are filled up to multiples of 4; those of the result are not. `shared_tiles` computes the
// same by way of workgroup memory.
#import shared
#import weight_gradient

override inner: u32; // channels that are not filled up

@group(0) @binding(1) var<storage, read> dy: array<vec4f>;          // [P, K / 4], P = images * out_height * out_width
@group(0) @binding(2) var<storage, read_write> partial: array<f32>; // [chunks, R, S, inner, K]
@group(0) @binding(3) var<uniform> params: Params;

fn store_quad(chunk: u32, row: u32, column: u32, value: vec4f) {
    let tap = row / channels;
    let channel = row % channels;
    if tap < window_height * window_width && channel < inner {
        let at = ((chunk * window_height * window_width + tap) * inner + channel) * filters + column;
        for (var i = 0u; i < 4u; i++) {
            if column + i < filters {
                partial[at + i] = value[i];
            }
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = corner(vec3u(group.xy, 0u), vec3u(), local); // chunks run along z
    let column = corner.x;
    let row = corner.y;
    if row >= window_height * window_width * channels {
        return;
    }
    let t0 = tap(row);
    let t1 = tap(row + 1u);
    let t2 = tap(row + 2u);
    let t3 = tap(row + 3u);
    let t4 = tap(row + 4u);
    let t5 = tap(row + 5u);
    let t6 = tap(row + 6u);
    let t7 = tap(row + 7u);
    var s0 = vec4f();
    var s1 = vec4f();
    var s2 = vec4f();
    var s3 = vec4f();
    var s4 = vec4f();
    var s5 = vec4f();
    var s6 = vec4f();
    var s7 = vec4f();
    let chunk = group.z;
    let first = chunk * params.chunk;
    let end = min(first + params.chunk, params.end);
    // Dividing per pixel costs more than the products: walk the pixels of the images instead.
    var ox = first % out_width;
    var oy = first / out_width % out_height;
    var image = first / (out_width * out_height) * height * width;
    // Lanes past the last column compute it once more.
    let across = (filters + 3u) / 4u;
    var at = first * across + min(column / 4u, across - 1u);
    let inside0 = columns_inside(t0);
    let inside4 = columns_inside(t4);
    let begin = max(inside0.x, inside4.x);
    let stop = min(inside0.y, inside4.y);
    var pixel = first;
    while pixel < end {
        let iy = oy * stride_y;
        let corner = i32((image + iy * width) * channels);
        let in_rows = u32(i32(iy) + t0.x) < height && u32(i32(iy) + t4.x) < height;
        if in_rows && ox >= begin && ox < stop {
            // Both taps lie in the image from here to the stretch's end: no tests.
            let stretch = min(end - pixel, min(out_width, stop) - ox);
            let step = channels * stride_x / 4u;
            let start = corner + i32(ox * stride_x * channels);
            var from0 = u32(start + t0.z) / 4u;
            var from4 = u32(start + t4.z) / 4u;
            for (var i = 0u; i < stretch; i++) {
                let b = dy[at];
                let a = x[from0];
                s0 = fma(vec4f(a.x), b, s0);
                s1 = fma(vec4f(a.y), b, s1);
                s2 = fma(vec4f(a.z), b, s2);
                s3 = fma(vec4f(a.w), b, s3);
                let c = x[from4];
                s4 = fma(vec4f(c.x), b, s4);
                s5 = fma(vec4f(c.y), b, s5);
                s6 = fma(vec4f(c.z), b, s6);
                s7 = fma(vec4f(c.w), b, s7);
                at += across;
                from0 += step;
                from4 += step;
            }
            pixel += stretch;
            ox += stretch;
        } else {
            let ix = ox * stride_x;
            let window = vec3i(i32(iy), i32(ix), corner + i32(ix * channels));
            let b = dy[at];
            let a = load4(window, t0, t1, t2, t3);
            s0 = fma(vec4f(a.x), b, s0);
            s1 = fma(vec4f(a.y), b, s1);
            s2 = fma(vec4f(a.z), b, s2);
            s3 = fma(vec4f(a.w), b, s3);
            let c = load4(window, t4, t5, t6, t7);
            s4 = fma(vec4f(c.x), b, s4);
            s5 = fma(vec4f(c.y), b, s5);
            s6 = fma(vec4f(c.z), b, s6);
            s7 = fma(vec4f(c.w), b, s7);
            at += across;
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
    for (var i = 0u; i < 8u; i++) {
        store_quad(chunk, row + i, column, s0);
        s0 = s1;
        s1 = s2;
        s2 = s3;
        s3 = s4;
        s4 = s5;
        s5 = s6;
        s6 = s7;
    }
}

// Four rows of a pixel of the result; 0 outside the image and past the chunk's end.
fn row_quad(pixel: u32, end: u32, tap: vec3i) -> vec4f {
    let out = place(pixel, out_height, out_width);
    let iy = out.y * stride_y;
    let ix = out.z * stride_x;
    let at = address(vec3i(i32(iy), i32(ix), i32(((out.x * height + iy) * width + ix) * channels)), tap);
    return select(vec4f(), x[u32(max(at, 0)) / 4u], at >= 0 && pixel < end);
}

@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_tiles(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = shared_corner(vec3u(group.xy, 0u), vec3u()); // chunks run along z
    let own = corner + owned(local);
    let tap = tap(corner.y + local % SIDE_QUADS * 4u);
    let first = group.z * params.chunk;
    let end = min(first + params.chunk, params.end);
    let across = (filters + 3u) / 4u;
    let column = min(corner.x / 4u + local % SIDE_QUADS, across - 1u);
    var sums = Sums();
    for (var step = first; step < end; step += STEPS) {
        let upper = step + local / SIDE_QUADS;
        let lower = upper + STEPS / 2u;
        block_a[local] = row_quad(upper, end, tap);
        block_a[local + SHARED_INVOCATIONS] = row_quad(lower, end, tap);
        block_b[local] = dy[min(upper, end - 1u) * across + column];
        block_b[local + SHARED_INVOCATIONS] = dy[min(lower, end - 1u) * across + column];
        workgroupBarrier();
        sums = add_steps(sums, local);
        workgroupBarrier();
    }
    for (var i = 0u; i < ROWS; i++) {
        store_quad(group.z, own.y + i, own.x, sums.s0);
        sums = next_row(sums);
    }
}
