// Rows of an image in workgroup memory, with the padding: no tap of a window is outside, and a row of taps is contiguous.
#import columns
#import window

override depth: u32; // C, channels of the image

@group(0) @binding(0) var<storage, read> source: array<f32>; // [N, H, W, C]

// For processors only: it exceeds the workgroup memory of GPUs.
const MEMORY: u32 = 32u * 1024u;
var<workgroup> memory: array<f32, MEMORY>;

// The pixels of a row of the result, in whole tiles of an invocation.
fn tiled_width() -> u32 {
    return (out_width + INVOCATION_ROWS - 1u) / INVOCATION_ROWS * INVOCATION_ROWS;
}

// The words of a row in memory, which covers the windows of these pixels.
fn row_words() -> u32 {
    return (((tiled_width() - 1u) * stride_x + window_width) * depth + LANES - 1u) / LANES * LANES;
}

// Copies the rows of an image that the windows of some rows of the result cover.
fn copy_rows(image: u32, first: u32, count: u32, lane: u32) {
    for (var row = 0u; row < (count - 1u) * stride_y + window_height; row++) {
        let y = first * stride_y + row - pad_top; // wraps to a huge number above the image
        for (var i = 0u; i < row_words(); i += LANES) {
            let x = i + lane - pad_left * depth;
            var value = 0.0;
            if y < height && x < width * depth {
                value = source[(image * height + y) * width * depth + x];
            }
            memory[row * row_words() + i + lane] = value;
        }
    }
}
