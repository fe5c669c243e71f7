// y[i] = x[i] + stddev * a normal draw that depends on the place and the step (Box and Muller 1958).
// One invocation computes one element.
#import linear
#import random
#import step

struct Params {
    count: u32,
    first: u32,  // elements of the tensor before x
    sample: u32, // elements of a sample
    stream: u32, // which of the network's layers this is
    stddev: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

const TWO_PI: f32 = 6.283185307;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        // The place in the whole batch, modulo 2^32.
        let draws = random4(step.place * params.sample + params.first + i, params.stream, step.key);
        let radius = sqrt(-2.0 * log(1.0 - uniform_of(draws.x)));
        // From -pi to pi, where WGSL says how exact a cosine is.
        y[i] = x[i] + params.stddev * radius * cos(TWO_PI * (uniform_of(draws.y) - 0.5));
    }
}
