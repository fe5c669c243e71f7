// Shared by the weight gradient's kernels in quads. Channels of x and filters of dy are padded to multiples of 4; those
// of the result are not.
#import quads
#import weight_gradient

override inner: u32; // channels without padding

@group(0) @binding(1) var<storage, read> dy: array<vec4f>;          // [P, K / 4], P = images * out_height * out_width
@group(0) @binding(2) var<storage, read_write> partial: array<f32>; // [chunks, R, S, inner, K]
@group(0) @binding(3) var<uniform> params: Params;

fn store_quad(chunk: u32, row: u32, column: u32, value: vec4f) {
    let tap = row / channels;
    let channel = row % channels;
    if tap < window_height * window_width && channel < inner {
        let at = ((chunk * window_height * window_width + tap) * inner + channel) * filters + column;
        for (var i = 0u; i < 4u; i++) {
            if column + i < filters {
                partial[at + i] = value[i];
            }
        }
    }
}

fn store_rows(chunk: u32, row: u32, column: u32, sums: Rows) {
    var s = sums;
    for (var i = 0u; i < ROWS; i++) {
        store_quad(chunk, row + i, column, s.r0);
        s = next_row(s);
    }
}

// The tap of four rows from this one on. Rows past the last are computed, but not stored.
fn quad_tap(row: u32) -> vec3i {
    return tap(min(row, rows() - 4u));
}

// Four rows of a window; 0 outside of the image.
fn window_quad(window: vec3i, tap: vec3i) -> vec4f {
    let at = address(window, tap);
    return select(vec4f(), x[u32(max(at, 0)) / 4u], at >= 0);
}

// The top left corner of the window of a pixel of the result, without padding, and its index in x.
fn window_of(pixel: u32) -> vec3i {
    let out = place(pixel, out_height, out_width);
    let iy = out.y * stride_y;
    let ix = out.z * stride_x;
    return vec3i(i32(iy), i32(ix), i32(((out.x * height + iy) * width + ix) * channels));
}

// Four rows of a pixel of the result; 0 outside of the image and past the chunk's end.
fn row_quad(pixel: u32, end: u32, tap: vec3i) -> vec4f {
    return select(vec4f(), window_quad(window_of(min(pixel, end - 1u)), tap), pixel < end);
}
