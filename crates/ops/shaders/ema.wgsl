// a = momentum a + (1 - momentum) p, but a = p in the first step; then p = a every `frequency` steps.
// One invocation averages one parameter, in place.
#import linear
#import step

struct Params {
    count: u32,
    momentum: f32,
    frequency: u32, // 0: the parameters are never replaced
}

@group(0) @binding(0) var<storage, read_write> parameters: array<f32>; // [count], p
@group(0) @binding(1) var<storage, read_write> average: array<f32>;    // [count], a
@group(0) @binding(2) var<uniform> params: Params;

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
    let momentum = select(params.momentum, 0.0, step.iteration == 0u);
    let a = momentum * average[i] + (1.0 - momentum) * parameters[i];
    average[i] = a;
    if params.frequency > 0u && (step.iteration + 1u) % max(params.frequency, 1u) == 0u {
        parameters[i] = a;
    }
}
