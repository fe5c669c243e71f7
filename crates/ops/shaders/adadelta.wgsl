// a = rho a + (1 - rho) g^2; u = g sqrt(d + epsilon) / sqrt(a + epsilon); d = rho d + (1 - rho) u^2; p = p - lr u
// One invocation updates one parameter.
#import linear
#import step

struct Params {
    count: u32,
    rho: f32,
    gain: f32, // 1 - rho
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> parameters: array<f32>; // [count]
@group(0) @binding(2) var<storage, read_write> square: array<f32>;     // [count], a: mean of the gradient's square
@group(0) @binding(3) var<storage, read_write> change: array<f32>;     // [count], d: mean of the change's square
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
    let a = params.rho * square[i] + params.gain * (g * g);
    let d = change[i];
    let u = sqrt(d + params.epsilon) * g / sqrt(a + params.epsilon);
    square[i] = a;
    change[i] = params.rho * d + params.gain * (u * u);
    parameters[i] -= step.rates.x * u;
}
