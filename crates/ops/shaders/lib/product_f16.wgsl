// The factors of a matrix product in f16, four to an element.
#import half_quads

@group(0) @binding(0) var<storage, read> a: array<vec2u>; // [M, K / 4]; for `tn` [K, M / 4]
@group(0) @binding(1) var<storage, read> b: array<vec2u>; // [K, N / 4]

fn a_quad(i: u32) -> vec4f {
    return quad_of_halves(a[i]);
}

fn b_quad(i: u32) -> vec4f {
    return quad_of_halves(b[i]);
}
