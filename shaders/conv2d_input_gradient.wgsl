// dx[n, iy, ix, c] = sum over r, s, k of dy[n, (iy + pad_top - r)/stride_y, (ix + pad_left - s)/stride_x, k] * kernel[r, s, c, k]
// One invocation computes 8 pixels x 2 channels: source = dy, weights = the kernel as [R, S, K, C], result = dx.
#import convolve_quads

// An input pixel in the padded image, and the first pixel of its image in dy.
fn locate(pixel: u32) -> vec3i {
    let at = place(pixel, height, width);
    return vec3i(i32(at.y + pad_top), i32(at.z + pad_left), i32(at.x * out_height * out_width));
}

// Along one axis, the window that starts at a position; huge where none does.
fn window_from(position: i32, stride: u32) -> u32 {
    let p = u32(position); // huge before the image
    if stride == 1u {
        return p;
    }
    return select(0xffffffffu, p / stride, p % stride == 0u && position >= 0);
}

// Where in dy the output lies to which the input pixel contributes through the tap (r, s), or -1.
fn address(padded: vec3i, r: u32, s: u32) -> i32 {
    let oy = window_from(padded.x - i32(r), stride_y);
    let ox = window_from(padded.y - i32(s), stride_x);
    let at = (padded.z + i32(oy * out_width + ox)) * i32(depth);
    return select(-1, at, oy < out_height && ox < out_width);
}
