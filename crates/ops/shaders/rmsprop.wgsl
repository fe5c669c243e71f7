// v = rho v + (1 - rho) g^2; p = p - lr g / (sqrt(v + inner) + outer), or with momentum b = momentum b + lr g / (...), p = p - b
// Centered: a = rho a + (1 - rho) g, and v - a^2 replaces v under the root. One invocation updates one parameter.
#import linear
#import nan
#import step
#import value

struct Params {
    count: u32,
    rho: f32,
    gain: f32, // 1 - rho
    inner: f32, // added under the root
    outer: f32, // added to the root
    momentum: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<Value>;        // [count]
@group(0) @binding(1) var<storage, read_write> parameters: array<Value>; // [count]
@group(0) @binding(2) var<storage, read_write> velocity: array<Value>;   // [count], v: mean of the gradient's square
@group(0) @binding(3) var<storage, read_write> momentum: array<Value>;   // [count], b: the previous step
@group(0) @binding(4) var<storage, read_write> average: array<Value>;    // [count], a: mean of the gradient
@group(0) @binding(5) var<uniform> params: Params;

// Updates and returns the mean square.
fn mean_square(i: u32, g: Value) -> Value {
    let v = params.rho * velocity[i] + params.gain * (g * g);
    velocity[i] = v;
    return v;
}

// Updates the mean and returns the mean square minus the squared mean.
fn variance(i: u32, g: Value) -> Value {
    let v = mean_square(i, g);
    let a = params.rho * average[i] + params.gain * g;
    average[i] = a;
    return v - a * a;
}

fn change(g: Value, square: Value) -> Value {
    return step.rates.x * g / (sqrt(relu_or_nan(square) + params.inner) + params.outer);
}

// Updates and returns the momentum.
fn accumulate(i: u32, added: Value) -> Value {
    let b = params.momentum * momentum[i] + added;
    momentum[i] = b;
    return b;
}

#quads
@compute @workgroup_size(256)
fn plain(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let g = gradients[i];
        parameters[i] -= change(g, mean_square(i, g));
    }
}

#quads
@compute @workgroup_size(256)
fn with_momentum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let g = gradients[i];
        parameters[i] -= accumulate(i, change(g, mean_square(i, g)));
    }
}

#quads
@compute @workgroup_size(256)
fn centered(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let g = gradients[i];
        parameters[i] -= change(g, variance(i, g));
    }
}

#quads
@compute @workgroup_size(256)
fn centered_with_momentum(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let g = gradients[i];
        parameters[i] -= accumulate(i, change(g, variance(i, g)));
    }
}
