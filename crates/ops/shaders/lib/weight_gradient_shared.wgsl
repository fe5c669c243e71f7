// The weight gradient by way of workgroup memory. The importing file imports a tile: `shared_fma` or `shared_cooperative`.
#import weight_gradient_quads

fn start_of(column: u32) -> vec4f {
    return vec4f();
}

fn store_result(part: u32, row: u32, column: u32, value: vec4f) {
    store_quad(part, row, column, value);
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

// The part of x and dy that an invocation loads of the block of pixels from this one on.
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
    var sums = start_sums(corner.x, local);
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
    store_tile_of_steps(sums, group.z, corner, local);
}
