// samples: y[n, e] = (x[n, e] - mean of image n) / (deviation of image n + 1e-6, or 1).
// features: y[n, e] = (x[n, e] - centre[e]) / divisor[e]. One invocation computes one element, lanes along an image.

override divides: bool; // whether `samples` divides

const EPSILON: f32 = 1e-6;
const LANES: u32 = 256u;   // of a workgroup

struct Params {
    images: u32,   // N
    elements: u32, // E, of an image
}

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [N, E]
@group(0) @binding(1) var<storage, read> statistics: array<vec4f>; // [N, 4]: minimum, maximum, mean and deviation
@group(0) @binding(2) var<storage, read> centre: array<f32>;       // [E]
@group(0) @binding(3) var<storage, read> divisor: array<f32>;      // [E]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;      // [N, E]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn samples(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let n = group.z * groups.y + group.y;
    let e = group.x * LANES + local;
    if n >= params.images || e >= params.elements {
        return;
    }
    let image = statistics[n];
    var value = x[n * params.elements + e] - image.z;
    if divides {
        value /= image.w + EPSILON;
    }
    y[n * params.elements + e] = value;
}

@compute @workgroup_size(LANES)
fn features(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let n = group.z * groups.y + group.y;
    let e = group.x * LANES + local;
    if n >= params.images || e >= params.elements {
        return;
    }
    y[n * params.elements + e] = (x[n * params.elements + e] - centre[e]) / divisor[e];
}
