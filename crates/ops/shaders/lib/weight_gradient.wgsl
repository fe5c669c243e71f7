// What the weight gradient's kernels share: which value of x a row of the result takes from a window.
#import window

override channels: u32; // C
override filters: u32;  // K

struct Params {
    chunk: u32,       // pixels per chunk, of all images together
    begin: u32,       // the pixels from here to `end` are those of the images that are bound: of all, or of a window
    end: u32,
    first_chunk: u32, // the first that has some of them
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [N, H, W, C]

fn rows() -> u32 {
    return window_height * window_width * channels;
}

// The tap of a row, and how far from the top left corner of a window its value lies in x.
fn tap(row: u32) -> vec3i {
    let s = i32(row / channels % window_width) - i32(pad_left);
    let r = i32(row / (channels * window_width)) - i32(pad_top);
    return vec3i(r, s, (r * i32(width) + s) * i32(channels) + i32(row % channels));
}

// Where in x a tap of a window lies, or -1.
fn address(window: vec3i, tap: vec3i) -> i32 {
    let iy = u32(window.x + tap.x); // huge above the image
    let ix = u32(window.y + tap.y);
    return select(-1, window.z + tap.z, iy < height && ix < width);
}

// The first column of the result from which on a tap lies in the image, and the one from which on it does not.
fn columns_inside(tap: vec3i) -> vec2u {
    let first = (u32(max(-tap.y, 0)) + stride_x - 1u) / stride_x;
    let last = i32(width) - 1 - tap.y;
    return vec2u(first, select(u32(last) / stride_x + 1u, 0u, last < 0));
}

// The columns in both of two such ranges.
fn in_both(a: vec2u, b: vec2u) -> vec2u {
    return vec2u(max(a.x, b.x), min(a.y, b.y));
}

// A range that holds the columns in either.
fn in_either(a: vec2u, b: vec2u) -> vec2u {
    return vec2u(min(a.x, b.x), max(a.y, b.y));
}
