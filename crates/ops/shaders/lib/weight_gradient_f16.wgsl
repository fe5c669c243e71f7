// The factors of a weight gradient in f16, four to an element.
#import half_quads

@group(0) @binding(0) var<storage, read> x: array<vec2u>;  // [N, H, W, C / 4]
@group(0) @binding(1) var<storage, read> dy: array<vec2u>; // [P, K / 4], P = images * out_height * out_width

fn x_quad(i: u32) -> vec4f {
    return quad_of_halves(x[i]);
}

fn dy_quad(i: u32) -> vec4f {
    return quad_of_halves(dy[i]);
}
