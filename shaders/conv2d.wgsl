// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * kernel[r, s, c, k]
// One invocation computes 8 pixels x 2 filters: source = x, weights = kernel, result = y.
#import convolve

// The top left corner of an output pixel's window and the image's first pixel.
fn locate(pixel: u32) -> vec3i {
    let ox = pixel % out_width;
    let oy = pixel / out_width % out_height;
    let n = pixel / (out_width * out_height);
    return vec3i(i32(oy * stride_y) - i32(pad_top), i32(ox * stride_x) - i32(pad_left), i32(n * height * width));
}

// Where in x the tap (r, s) of the window lies, or -1.
fn address(window: vec3i, r: u32, s: u32) -> i32 {
    let iy = window.x + i32(r);
    let ix = window.y + i32(s);
    let inside = iy >= 0 && iy < i32(height) && ix >= 0 && ix < i32(width);
    return select(-1, (window.z + iy * i32(width) + ix) * i32(depth), inside);
}
