// p = p - rate learning_rate p, before the optimizer's rule.
// One invocation decays one parameter, in place.
#import linear
#import step

struct Params {
    count: u32,
    rate: f32,
}

@group(0) @binding(0) var<storage, read_write> parameters: array<f32>; // [count]
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(256)
fn update(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let p = parameters[i];
        parameters[i] = p - p * params.rate * step.learning_rate;
    }
}
