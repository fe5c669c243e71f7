// w = w desired / (norm + 1e-7), where desired = rate clamp(norm, minimum, maximum) + (1 - rate) norm, with the norm of each
// group of weights: those along the middle of three axes. `non_negative`: w = w where w >= 0, else 0.
// One invocation computes one group, in place.
#import linear
#import nan

struct Params {
    groups: u32, // [outer, inner]; for `non_negative` weights
    terms: u32,  // weights of a group
    inner: u32,  // extent of the inner axis
    minimum: f32,
    maximum: f32,
    rate: f32,
}

const BLOCK: u32 = 64u;       // terms of a short sum
const EPSILON: f32 = 1.0e-7; // keras.config.epsilon()

@group(0) @binding(0) var<storage, read_write> weights: array<f32>; // [outer, terms, inner]
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(256)
fn norm(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i >= params.groups {
        return;
    }
    let first = i / params.inner * params.terms * params.inner + i % params.inner;
    var total = 0.0;
    var at = first;
    for (var block = 0u; block < params.terms; block += BLOCK) {
        let end = min(block + BLOCK, params.terms);
        var part = 0.0;
        for (var term = block; term < end; term++) {
            part += weights[at] * weights[at];
            at += params.inner;
        }
        total += part;
    }
    let norm = sqrt(total);
    var desired = clamp_or_nan(norm, params.minimum, params.maximum);
    if params.rate != 1.0 {
        desired = params.rate * desired + (1.0 - params.rate) * norm;
    }
    let factor = desired / (norm + EPSILON);
    at = first;
    for (var term = 0u; term < params.terms; term++) {
        weights[at] *= factor;
        at += params.inner;
    }
}

@compute @workgroup_size(256)
fn non_negative(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.groups {
        weights[i] = relu_or_nan(weights[i]);
    }
}
