// y[i] = the sum of 48 chains of 4096 multiply-adds, the first of which start at x[i % 64].
// One invocation computes its chains, which do not depend on each other; there is no memory traffic to speak of.

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [64]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [workgroups * 64]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let start = vec4f(x[local]) + vec4f(0.0, 1.0, 2.0, 3.0);
    let factor = vec4f(0.5);
    let term = vec4f(1.0);
    var s0 = start;
    var s1 = start + 4.0;
    var s2 = start + 8.0;
    var s3 = start + 12.0;
    var s4 = start + 16.0;
    var s5 = start + 20.0;
    var s6 = start + 24.0;
    var s7 = start + 28.0;
    var s8 = start + 32.0;
    var s9 = start + 36.0;
    var s10 = start + 40.0;
    var s11 = start + 44.0;
    for (var i = 0u; i < 4096u; i++) {
        s0 = fma(s0, factor, term);
        s1 = fma(s1, factor, term);
        s2 = fma(s2, factor, term);
        s3 = fma(s3, factor, term);
        s4 = fma(s4, factor, term);
        s5 = fma(s5, factor, term);
        s6 = fma(s6, factor, term);
        s7 = fma(s7, factor, term);
        s8 = fma(s8, factor, term);
        s9 = fma(s9, factor, term);
        s10 = fma(s10, factor, term);
        s11 = fma(s11, factor, term);
    }
    let sum = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11;
    y[group.x * 64u + local] = sum.x + sum.y + sum.z + sum.w;
}
