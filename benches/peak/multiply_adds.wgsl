// y[i] = the sum of 12 chains of 16384 multiply-adds, which start at x[i % 64] + 0, 1, 2, ... 11.
// One invocation computes its chains, which do not depend on each other; there is no memory traffic to speak of.

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [64]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [workgroups * 64]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let factor = vec4f(0.5);
    let term = vec4f(1.0);
    var s0 = x[local] + vec4f(0.0, 1.0, 2.0, 3.0);
    var s1 = s0 + 4.0;
    var s2 = s0 + 8.0;
    for (var i = 0u; i < 16384u; i += 4u) {
        s0 = fma(s0, factor, term);
        s1 = fma(s1, factor, term);
        s2 = fma(s2, factor, term);
        s0 = fma(s0, factor, term);
        s1 = fma(s1, factor, term);
        s2 = fma(s2, factor, term);
        s0 = fma(s0, factor, term);
        s1 = fma(s1, factor, term);
        s2 = fma(s2, factor, term);
        s0 = fma(s0, factor, term);
        s1 = fma(s1, factor, term);
        s2 = fma(s2, factor, term);
    }
    let sum = s0 + s1 + s2;
    y[group.x * 64u + local] = sum.x + sum.y + sum.z + sum.w;
}
