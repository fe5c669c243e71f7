// The factors of a convolution in f16, four to an element.
#import half_quads

@group(0) @binding(0) var<storage, read> source: array<vec2u>;   // [P', D]
@group(0) @binding(1) var<storage, read> weights4: array<vec2u>; // [R, S, inner, K / 4], K padded to a multiple of 4

fn source_quad(i: u32) -> vec4f {
    return quad_of_halves(source[i]);
}

fn weights_quad(i: u32) -> vec4f {
    return quad_of_halves(weights4[i]);
}
