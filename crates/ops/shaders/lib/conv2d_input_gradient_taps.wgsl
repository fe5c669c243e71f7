// The taps of the gradient of a convolution without strides with respect to its input: source = dy, weights = the kernel as
// [R, S, K, C], result = dx.
#import all_taps

// Taps are in reverse order of the pixels of dy: none are contiguous.
fn neighbours() -> u32 {
    return 1u;
}

// The rows and columns of the pixels of a call.
fn grid() -> vec2u {
    return vec2u(height, width);
}

// An input pixel in the padded image, and the first pixel of its image in dy, for a position in the grid.
fn window_at(at: vec3u) -> vec3i {
    return vec3i(i32(at.y + pad_top), i32(at.z + pad_left), i32(at.x * out_height * out_width));
}

// The index in dy of the output to which the input pixel contributes through the tap (r, s), or -1.
fn address(padded: vec3i, r: u32, s: u32) -> i32 {
    let oy = u32(padded.x - i32(r)); // huge before the image
    let ox = u32(padded.y - i32(s));
    let at = (padded.z + i32(oy * out_width + ox)) * i32(depth);
    return select(-1, at, oy < out_height && ox < out_width);
}
