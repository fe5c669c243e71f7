// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 8 rows (r, s, c) x 4 filters over one chunk of the pixels; the chunks' sums are added later.
// `shared_tiles` computes the same by way of workgroup memory.
#import shared
#import weight_gradient_quads

@compute @workgroup_size(INVOCATIONS)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = corner(vec3u(group.xy, 0u), vec3u(), local); // chunks run along z
    let column = corner.x;
    let row = corner.y;
    if row >= rows() {
        return;
    }
    let upper = quad_tap(row);
    let lower = quad_tap(row + 4u);
    var sums = Rows();
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
    let inside = in_both(columns_inside(upper), columns_inside(lower));
    var pixel = first;
    while pixel < end {
        let iy = oy * stride_y;
        let corner = i32((image + iy * width) * channels);
        let in_rows = u32(i32(iy) + upper.x) < height && u32(i32(iy) + lower.x) < height;
        if in_rows && ox >= inside.x && ox < inside.y {
            // Both taps lie in the image from here to the stretch's end: no tests.
            let stretch = min(end - pixel, min(out_width, inside.y) - ox);
            let step = channels * stride_x / 4u;
            let start = corner + i32(ox * stride_x * channels);
            var from_upper = u32(start + upper.z) / 4u;
            var from_lower = u32(start + lower.z) / 4u;
            for (var i = 0u; i < stretch; i++) {
                sums = add_step(x[from_upper], x[from_lower], dy[at], sums);
                at += across;
                from_upper += step;
                from_lower += step;
            }
            pixel += stretch;
            ox += stretch;
        } else {
            let ix = ox * stride_x;
            let window = vec3i(i32(iy), i32(ix), corner + i32(ix * channels));
            sums = add_step(window_quad(window, upper), window_quad(window, lower), dy[at], sums);
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
    store_rows(chunk, row, column, sums);
}

@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_tiles(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = shared_corner(vec3u(group.xy, 0u), vec3u()); // chunks run along z
    let own = corner + owned(local);
    let tap = quad_tap(corner.y + local % SIDE_QUADS * 4u);
    let first = group.z * params.chunk;
    let end = min(first + params.chunk, params.end);
    let across = (filters + 3u) / 4u;
    let column = min(corner.x / 4u + local % SIDE_QUADS, across - 1u);
    var sums = Rows();
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
    store_rows(group.z, own.y, own.x, sums);
}
