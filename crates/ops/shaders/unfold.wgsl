// y[p, (r*S + s)*C + c] = x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] for p = (n, oy, ox); 0 outside of the
// image and past the last tap.
// One invocation writes four adjacent values.
#import linear
#import window

override channels: u32; // C
override length: u32;   // quads of a row of y

struct Params {
    quads: u32, // of y
}

@group(0) @binding(0) var<storage, read> x: array<f32>;         // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [P, length]
@group(0) @binding(2) var<uniform> params: Params;

fn load(out: vec3u, at: u32) -> f32 {
    let tap = at / channels;
    let iy = out.y * stride_y + tap / window_width - pad_top; // wraps to a huge number above the image
    let ix = out.z * stride_x + tap % window_width - pad_left;
    var value = 0.0;
    if tap < window_height * window_width && iy < height && ix < width {
        value = x[((out.x * height + iy) * width + ix) * channels + at % channels];
    }
    return value;
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
