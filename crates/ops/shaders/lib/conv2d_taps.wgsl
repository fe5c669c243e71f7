// The taps of a convolution: source = x, weights = kernel, result = y.
#import all_taps

// The number of taps contiguous in x from the start of a row of taps, if all are in the image.
fn neighbours() -> u32 {
    return window_width;
}

// The rows and columns of the pixels of a call.
fn grid() -> vec2u {
    return vec2u(out_height, out_width);
}

// The top left corner of an output pixel's window, and its index in x, for a position in the grid.
fn window_at(out: vec3u) -> vec3i {
    let y = i32(out.y * stride_y) - i32(pad_top);
    let x = i32(out.z * stride_x) - i32(pad_left);
    return vec3i(y, x, ((i32(out.x * height) + y) * i32(width) + x) * i32(depth));
}

// The index in x of the tap (r, s) of the window, or -1.
fn address(window: vec3i, r: u32, s: u32) -> i32 {
    let iy = u32(window.x + i32(r)); // huge above the image
    let ix = u32(window.y + i32(s));
    return select(-1, window.z + i32((r * width + s) * depth), iy < height && ix < width);
}
