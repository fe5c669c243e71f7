// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p = p - rate m / (sqrt(v) + epsilon)
// With AMSGrad, v is replaced by its largest value so far. One invocation updates one parameter; the host computes
// rate = lr sqrt(1 - b2^t) / (1 - b1^t), the step's x.
#import linear
#import nan
#import step
#import value

struct Params {
    count: u32,
    gain_1: f32, // 1 - b1
    gain_2: f32, // 1 - b2
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<Value>;        // [count]
@group(0) @binding(1) var<storage, read_write> parameters: array<Value>; // [count]
@group(0) @binding(2) var<storage, read_write> m: array<Value>;          // [count], mean of the gradient
@group(0) @binding(3) var<storage, read_write> v: array<Value>;          // [count], mean of its square
@group(0) @binding(4) var<storage, read_write> largest: array<Value>;    // [count], largest v so far
@group(0) @binding(5) var<uniform> params: Params;

// Of the gradient and of its square.
struct Means {
    gradient: Value,
    square: Value,
}

// Updates and returns the two means.
fn means(i: u32) -> Means {
    let g = gradients[i];
    let mean = m[i] + params.gain_1 * (g - m[i]);
    let square = v[i] + params.gain_2 * (g * g - v[i]);
    m[i] = mean;
    v[i] = square;
    return Means(mean, square);
}

fn change(i: u32, mean: Value, square: Value) {
    parameters[i] -= step.rates.x * mean / (sqrt(square) + params.epsilon);
}

#quads
@compute @workgroup_size(256)
fn update(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let now = means(i);
        change(i, now.gradient, now.square);
    }
}

#quads
@compute @workgroup_size(256)
fn update_amsgrad(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let now = means(i);
        let square = max_or_nan(largest[i], now.square);
        largest[i] = square;
        change(i, now.gradient, square);
    }
}
