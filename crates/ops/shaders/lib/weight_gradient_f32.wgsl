// The factors of a weight gradient in f32.
@group(0) @binding(0) var<storage, read> x: array<vec4f>;  // [N, H, W, C / 4]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // [P, K / 4], P = images * out_height * out_width

fn x_quad(i: u32) -> vec4f {
    return x[i];
}

fn dy_quad(i: u32) -> vec4f {
    return dy[i];
}
