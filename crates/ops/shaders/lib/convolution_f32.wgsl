// The factors of a convolution in f32.
@group(0) @binding(0) var<storage, read> source: array<vec4f>;   // [P', D]
@group(0) @binding(1) var<storage, read> weights: array<f32>;    // [R, S, D, K]
@group(0) @binding(6) var<storage, read> weights4: array<vec4f>; // [R, S, inner, K / 4], K padded to a multiple of 4

fn source_quad(i: u32) -> vec4f {
    return source[i];
}

fn weights_quad(i: u32) -> vec4f {
    return weights4[i];
}
