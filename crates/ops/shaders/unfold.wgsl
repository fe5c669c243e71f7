// y[p, (r*S + s)*C + c] = x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] for p = (n, oy, ox); 0 outside of the
// image and past the last tap.
// One invocation writes four adjacent values; `forward_f16` those of an image in f16.
#import linear
#import window

override channels: u32; // C
override length: u32;   // quads of a row of y

struct Params {
    quads: u32, // of y
}

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [P, length]
@group(0) @binding(0) var<storage, read> x16: array<u32>;          // [N, H, W, C] in f16
@group(0) @binding(1) var<storage, read_write> y16: array<vec2u>;  // [P, length] in f16
@group(0) @binding(2) var<uniform> params: Params;

// The index in x of a value of a window, or -1.
fn source_of(out: vec3u, at: u32) -> i32 {
    let tap = at / channels;
    let iy = out.y * stride_y + tap / window_width - pad_top; // wraps to a huge number above the image
    let ix = out.z * stride_x + tap % window_width - pad_left;
    let inside = tap < window_height * window_width && iy < height && ix < width;
    return select(-1, i32(((out.x * height + iy) * width + ix) * channels + at % channels), inside);
}

fn load(out: vec3u, at: u32) -> f32 {
    let i = source_of(out, at);
    var value = 0.0;
    if i >= 0 {
        value = x[u32(i)];
    }
    return value;
}

// The same of x16, in the lower 16 bits.
fn load16(out: vec3u, at: u32) -> u32 {
    let i = source_of(out, at);
    var half = 0u;
    if i >= 0 {
        half = (x16[u32(i) / 2u] >> (u32(i) % 2u * 16u)) & 0xffffu;
    }
    return half;
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    if at < params.quads {
        let out = place(at / length, out_height, out_width);
        let tap = at % length * 4u;
        y[at] = vec4f(load(out, tap), load(out, tap + 1u), load(out, tap + 2u), load(out, tap + 3u));
    }
}

@compute @workgroup_size(256)
fn forward_f16(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    if at < params.quads {
        let out = place(at / length, out_height, out_width);
        let tap = at % length * 4u;
        y16[at] = vec2u(
            load16(out, tap) | (load16(out, tap + 1u) << 16u),
            load16(out, tap + 2u) | (load16(out, tap + 3u) << 16u),
        );
    }
}
