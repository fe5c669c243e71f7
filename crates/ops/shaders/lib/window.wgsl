// The geometry of the sliding window of a pooling or convolution.
override height: u32;        // H, of the image
override width: u32;         // W
override out_height: u32;    // OH, of the result
override out_width: u32;     // OW
override window_height: u32; // R
override window_width: u32;  // S
override stride_y: u32;
override stride_x: u32;
override pad_top: u32;       // rows and columns of padding before the image
override pad_left: u32;

// The position (n, y, x) of a pixel of images with these rows and columns.
fn place(pixel: u32, rows: u32, columns: u32) -> vec3u {
    return vec3u(pixel / (rows * columns), pixel / columns % rows, pixel % columns);
}

// The position of the next pixel.
fn next(at: vec3u, rows: u32, columns: u32) -> vec3u {
    if at.z + 1u < columns {
        return vec3u(at.x, at.y, at.z + 1u);
    }
    if at.y + 1u < rows {
        return vec3u(at.x, at.y + 1u, 0u);
    }
    return vec3u(at.x + 1u, 0u, 0u);
}

// Along one axis, the range of windows that contain a position of the padded image: those at o with o*stride <=
// position < o*stride + extent.
fn windows_over(position: u32, extent: u32, stride: u32, count: u32) -> vec2u {
    return vec2u((max(position + stride, extent) - extent) / stride, min(position / stride + 1u, count));
}
