// The factors of a matrix product in f32.
@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [M, K / 4]; for `tn` [K, M / 4]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [K, N / 4]

fn a_quad(i: u32) -> vec4f {
    return a[i];
}

fn b_quad(i: u32) -> vec4f {
    return b[i];
}
