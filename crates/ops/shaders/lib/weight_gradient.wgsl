// Shared by the weight gradient's kernels: the value of x in a window for a row of the result.
#import window

override channels: u32; // C
override filters: u32;  // K

struct Params {
    chunk: u32,       // pixels per chunk, of all images together
    begin: u32,       // the pixels from here to `end` are those of the bound images: of all, or of a window
    end: u32,
    first_chunk: u32, // the first chunk with some of them
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [N, H, W, C]

fn rows() -> u32 {
    return window_height * window_width * channels;
}

// The tap of a row, and its offset in x from the top left corner of a window.
fn tap(row: u32) -> vec3i {
    let s = i32(row / channels % window_width) - i32(pad_left);
    let r = i32(row / (channels * window_width)) - i32(pad_top);
    return vec3i(r, s, (r * i32(width) + s) * i32(channels) + i32(row % channels));
}

// The index in x of a tap of a window, or -1.
fn address(window: vec3i, tap: vec3i) -> i32 {
    let iy = u32(window.x + tap.x); // huge above the image
    let ix = u32(window.y + tap.y);
    return select(-1, window.z + tap.z, iy < height && ix < width);
}

// The range of columns of the result for which a tap is in the image.
fn columns_inside(tap: vec3i) -> vec2u {
    let first = (u32(max(-tap.y, 0)) + stride_x - 1u) / stride_x;
    let last = i32(width) - 1 - tap.y;
    return vec2u(first, select(u32(last) / stride_x + 1u, 0u, last < 0));
}

// The intersection of two such ranges.
fn in_both(a: vec2u, b: vec2u) -> vec2u {
    return vec2u(max(a.x, b.x), min(a.y, b.y));
}

// A range that includes both ranges.
fn in_either(a: vec2u, b: vec2u) -> vec2u {
    return vec2u(min(a.x, b.x), max(a.y, b.y));
}
