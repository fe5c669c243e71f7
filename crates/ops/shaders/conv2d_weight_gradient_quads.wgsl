// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 8 rows (r, s, c) x 4 filters over one chunk of the pixels; the chunks' sums are added later.
// `shared_tiles` computes 8 x 8 through workgroup memory.
#import shared
#import weight_gradient_quads

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

// Four filters of a pixel of dy. Lanes past the last column recompute it.
fn dy_quad(pixel: u32, end: u32, column: u32) -> vec4f {
    let across = (filters + 3u) / 4u;
    return dy[min(pixel, end - 1u) * across + min(column, across - 1u)];
}

// The index in x of the tap of a pixel of the result, or -1 outside of the image and past the chunk's end.
fn row_address(pixel: u32, end: u32, tap: vec3i) -> i32 {
    return select(-1, address(window_of(min(pixel, end - 1u)), tap), pixel < end);
}

// Four rows from here on; values of the first pixel for a tap outside of the image.
fn loaded_rows(at: i32) -> vec4f {
    return x[u32(max(at, 0)) / 4u];
}

// The part of x and dy that an invocation loads of the 16 pixels from this one on.
fn load_pixels(tap: vec3i, column: u32, local: u32, pixel: u32, end: u32) -> Loaded {
    var there = 0u;
    var rows = Rows();
    let a0 = row_address(pixel + loaded_row_step(local, 0u), end, tap);
    let a1 = row_address(pixel + loaded_row_step(local, 1u), end, tap);
    let a2 = row_address(pixel + loaded_row_step(local, 2u), end, tap);
    let a3 = row_address(pixel + loaded_row_step(local, 3u), end, tap);
    there |= bit(0u, a0 >= 0) | bit(1u, a1 >= 0) | bit(2u, a2 >= 0) | bit(3u, a3 >= 0);
    rows.r0 = loaded_rows(a0);
    rows.r1 = loaded_rows(a1);
    rows.r2 = loaded_rows(a2);
    rows.r3 = loaded_rows(a3);
    if narrow() {
        let a4 = row_address(pixel + loaded_row_step(local, 4u), end, tap);
        let a5 = row_address(pixel + loaded_row_step(local, 5u), end, tap);
        let a6 = row_address(pixel + loaded_row_step(local, 6u), end, tap);
        let a7 = row_address(pixel + loaded_row_step(local, 7u), end, tap);
        there |= bit(4u, a4 >= 0) | bit(5u, a5 >= 0) | bit(6u, a6 >= 0) | bit(7u, a7 >= 0);
        rows.r4 = loaded_rows(a4);
        rows.r5 = loaded_rows(a5);
        rows.r6 = loaded_rows(a6);
        rows.r7 = loaded_rows(a7);
    }
    let step = vec4u(loaded_step(local, 0u), loaded_step(local, 1u), loaded_step(local, 2u), loaded_step(local, 3u)) + pixel;
    there |= steps_there(step, end);
    var loaded =
        Loaded(rows, dy_quad(step.x, end, column), dy_quad(step.y, end, column), vec4f(), vec4f(), there);
    if !narrow() {
        loaded.b2 = dy_quad(step.z, end, column);
        loaded.b3 = dy_quad(step.w, end, column);
    }
    return loaded;
}

#gpu_only
@compute @workgroup_size(SHARED_INVOCATIONS)
fn shared_tiles(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let corner = shared_corner(vec3u(group.xy, 0u), vec3u()); // chunks run along z
    let tap = quad_tap(corner.y + loaded_row_quad(local) * 4u);
    let column = corner.x / 4u + loaded_quad(local);
    let first = group.z * params.chunk;
    let end = min(first + params.chunk, params.end);
    var sums = Sums();
    var loaded = load_pixels(tap, column, local, first, end);
    for (var pixel = first; pixel < end; pixel += STEPS) {
        put_steps(loaded, local);
        workgroupBarrier();
        if pixel + STEPS < end {
            loaded = load_pixels(tap, column, local, pixel + STEPS, end);
        }
        sums = add_steps(sums, local);
        workgroupBarrier();
    }
    for (var i = 0u; i < ROWS; i++) {
        let row = corner.y + quad_row(local, i);
        store_quad(group.z, row, corner.x + left_column(local), sums.left.r0);
        store_quad(group.z, row, corner.x + right_column(local), sums.right.r0);
        sums = next_sums(sums);
    }
}
