// y[i] = the sum of CHAINS chains of LENGTH multiply-adds, which start at x[i % SIZE] + 0, 1, 2, ...
// One invocation computes its independent chains; memory traffic is negligible.

const SIZE: u32 = 64u;
const CHAINS: u32 = 12u; // four in each vector: enough at once to hide the latency, few enough for 16 registers
const LENGTH: u32 = 16384u;
// A chain decays towards TERM / (1 - FACTOR) = 1 by a factor of e every 8192 steps, so its result shows its length.
const FACTOR: f32 = 0.9998779296875; // 1 - 1/8192
const TERM: f32 = 0.0001220703125;   // 1/8192

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [SIZE]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [workgroups * SIZE]

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let factor = vec4f(FACTOR);
    let term = vec4f(TERM);
    var s0 = x[local] + vec4f(0.0, 1.0, 2.0, 3.0);
    var s1 = s0 + 4.0;
    var s2 = s0 + 8.0;
    for (var i = 0u; i < LENGTH; i += 4u) {
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
    y[group.x * SIZE + local] = sum.x + sum.y + sum.z + sum.w;
}
