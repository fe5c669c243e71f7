// a = a + g^2; p = p - lr g / sqrt(a + epsilon)
// One invocation updates one parameter.
#import linear
#import step

struct Params {
    count: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<f32>;         // [count]
@group(0) @binding(1) var<storage, read_write> parameters: array<f32>;  // [count]
@group(0) @binding(2) var<storage, read_write> accumulator: array<f32>; // [count], a: sum of the gradient's square
@group(0) @binding(3) var<uniform> params: Params;

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
    let a = accumulator[i] + g * g;
    accumulator[i] = a;
    parameters[i] -= step.rates.x * g / sqrt(a + params.epsilon);
}
