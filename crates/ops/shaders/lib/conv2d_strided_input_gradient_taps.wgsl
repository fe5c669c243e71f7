// The taps of the gradient of a convolution with strides with respect to its input: source = dy, weights = the kernel as
// [R, S, K, C], result = dx. A call computes the pixels with the same offset modulo the strides, which have the same taps.

// The rows and columns of the pixels of a call.
fn grid() -> vec2u {
    let stride = vec2u(stride_y, stride_x);
    return (vec2u(height, width) + stride - 1u - vec2u(params.phase_y, params.phase_x)) / stride;
}

// The position (n, y, x) in dx of a position in the grid.
fn in_image(at: vec3u) -> vec3u {
    return vec3u(at.x, at.yz * vec2u(stride_y, stride_x) + vec2u(params.phase_y, params.phase_x));
}

fn result_pixel(pixel: u32) -> u32 {
    let size = grid();
    let at = in_image(place(pixel, size.x, size.y));
    return (at.x * height + at.y) * width + at.z;
}

// The taps whose windows start at a multiple of the strides.
fn first_tap() -> vec2u {
    return vec2u((params.phase_y + pad_top) % stride_y, (params.phase_x + pad_left) % stride_x);
}

fn tap_step() -> vec2u {
    return vec2u(stride_y, stride_x);
}

fn skips_taps() -> bool {
    return true;
}

// Taps are in reverse order of the pixels of dy: none are contiguous.
fn neighbours() -> u32 {
    return 1u;
}

// An input pixel in the padded image, and the first pixel of its image in dy, for a position in the grid.
fn window_at(position: vec3u) -> vec3i {
    let at = in_image(position);
    return vec3i(i32(at.y + pad_top), i32(at.z + pad_left), i32(at.x * out_height * out_width));
}

// Along one axis, the window that starts at a position; huge before the image.
fn window_from(position: i32, stride: u32) -> u32 {
    return select(u32(position) / stride, 0xffffffffu, position < 0);
}

// The index in dy of the output to which the input pixel contributes through the tap (r, s), or -1.
fn address(padded: vec3i, r: u32, s: u32) -> i32 {
    let oy = window_from(padded.x - i32(r), stride_y);
    let ox = window_from(padded.y - i32(s), stride_x);
    let at = (padded.z + i32(oy * out_width + ox)) * i32(depth);
    return select(-1, at, oy < out_height && ox < out_width);
}
