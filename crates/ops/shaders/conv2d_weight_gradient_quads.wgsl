// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 8 rows (r, s, c) x 4 filters over one chunk of the pixels; the chunks' sums are added later.
// `shared_tiles` computes 8 x 8 through workgroup memory.
#import shared_fma
#import weight_gradient_quads
#import weight_gradient_shared

#gpu_only
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
    // Lanes past the last column recompute it.
    let across = (filters + 3u) / 4u;
    var at = first * across + min(column / 4u, across - 1u);
    let inside = in_both(columns_inside(upper), columns_inside(lower));
    var pixel = first;
    while pixel < end {
        let iy = oy * stride_y;
        let corner = i32((image + iy * width) * channels);
        let in_rows = u32(i32(iy) + upper.x) < height && u32(i32(iy) + lower.x) < height;
        if in_rows && ox >= inside.x && ox < inside.y {
            // Both taps are in the image from here to the stretch's end: no bounds checks.
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
