// dx[n, iy, ix, c] = sum over r, s, k of dy[n, (iy + pad_top - r)/stride_y, (ix + pad_left - s)/stride_x, k] * kernel[r, s, c, k]
// One invocation computes 8 pixels x 2 channels: source = dy, weights = the kernel as [R, S, K, C], result = dx.
#import convolve

// An input pixel in the padded image, and the first pixel of its image in dy.
fn locate(pixel: u32) -> vec3i {
    let ix = pixel % width;
    let iy = pixel / width % height;
    let n = pixel / (width * height);
    return vec3i(i32(iy + pad_top), i32(ix + pad_left), i32(n * out_height * out_width));
}

// Where in dy the output lies to which the input pixel contributes through the tap (r, s), or -1.
fn address(padded: vec3i, r: u32, s: u32) -> i32 {
    let y = padded.x - i32(r);
    let x = padded.y - i32(s);
    let oy = y / i32(stride_y);
    let ox = x / i32(stride_x);
    let hit = y >= 0 && x >= 0 && oy * i32(stride_y) == y && ox * i32(stride_x) == x;
    let inside = hit && oy < i32(out_height) && ox < i32(out_width);
    return select(-1, (padded.z + oy * i32(out_width) + ox) * i32(depth), inside);
}
