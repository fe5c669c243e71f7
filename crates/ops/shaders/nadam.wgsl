// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p = p - (rate m + rate_now g) / (sqrt(v scale) + epsilon)
// One invocation updates one parameter; the host computes the two rates and the scale: the step's x, y and z.
#import linear
#import step

struct Params {
    count: u32,
    gain_1: f32, // 1 - b1
    gain_2: f32, // 1 - b2
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> parameters: array<f32>; // [count]
@group(0) @binding(2) var<storage, read_write> m: array<f32>;          // [count], mean of the gradient
@group(0) @binding(3) var<storage, read_write> v: array<f32>;          // [count], mean of its square
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(256)
fn update(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i >= params.count {
        return;
    }
    let g = gradients[i];
    let mean = m[i] + params.gain_1 * (g - m[i]);
    let square = v[i] + params.gain_2 * (g * g - v[i]);
    m[i] = mean;
    v[i] = square;
    parameters[i] -= (step.rates.x * mean + step.rates.y * g) / (sqrt(step.rates.z * square) + params.epsilon);
}
