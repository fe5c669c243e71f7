// p = p - lr g; with momentum: v = momentum v - lr g, p = p + v, or with Nesterov's p = p + momentum v - lr g
// One invocation updates one parameter.
#import linear
#import step
#import value

override nesterov: bool;

struct Params {
    count: u32,
    momentum: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<Value>;        // [count]
@group(0) @binding(1) var<storage, read_write> parameters: array<Value>; // [count]
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> velocity: array<Value>;   // [count]

#quads
@compute @workgroup_size(256)
fn plain(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        parameters[i] -= step.rates.x * gradients[i];
    }
}

#quads
@compute @workgroup_size(256)
fn momentum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i >= params.count {
        return;
    }
    let change = step.rates.x * gradients[i];
    let v = params.momentum * velocity[i] - change;
    velocity[i] = v;
    parameters[i] += select(v, params.momentum * v - change, nesterov);
}
