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

// The tap of a row, and how far from the top left corner of a window its value lies in x. With channels in fours a load
// takes four rows, so the last start is four before the end.
fn tap(row: u32) -> vec3i {
    let rows = window_height * window_width * channels;
    let m = min(row, select(rows - 1u, rows - 4u, channels % 4u == 0u));
    let s = i32(m / channels % window_width) - i32(pad_left);
    let r = i32(m / (channels * window_width)) - i32(pad_top);
    return vec3i(r, s, (r * i32(width) + s) * i32(channels) + i32(m % channels));
}

// Where in x a tap of a window lies, or -1.
fn address(window: vec3i, tap: vec3i) -> i32 {
    let iy = u32(window.x + tap.x); // huge above the image
    let ix = u32(window.y + tap.y);
    return select(-1, window.z + tap.z, iy < height && ix < width);
}

fn load(window: vec3i, tap: vec3i) -> f32 {
    let at = address(window, tap);
    let i = u32(max(at, 0));
    return select(0.0, x[i / 4u][i % 4u], at >= 0);
}

// x at four rows, in one load when they are neighbouring channels of one tap.
fn load4(window: vec3i, t0: vec3i, t1: vec3i, t2: vec3i, t3: vec3i) -> vec4f {
    if channels % 4u == 0u {
        let at = address(window, t0);
        return select(vec4f(), x[u32(max(at, 0)) / 4u], at >= 0);
    }
    return vec4f(load(window, t0), load(window, t1), load(window, t2), load(window, t3));
}

// The first column of the result from which on a tap lies in the image, and the one from which on it does not.
fn columns_inside(tap: vec3i) -> vec2u {
    let first = (u32(max(-tap.y, 0)) + stride_x - 1u) / stride_x;
    let last = i32(width) - 1 - tap.y;
    return vec2u(first, select(u32(last) / stride_x + 1u, 0u, last < 0));
}
