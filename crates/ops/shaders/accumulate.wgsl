// gradients = partial + gradients, or partial = gradients, or neither: one level of a binary tree of sums.
// One invocation adds one element, in place. Level j holds the sum of 2^j shards while bit j of the shard's number is set.
#import linear
#import step

struct Params {
    count: u32,
    level: u32,
}

@group(0) @binding(0) var<storage, read_write> gradients: array<f32>; // [count], the sum of the levels below and this shard
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;   // [count], the sum of this level
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
    let holds = ((step.shard >> params.level) & 1u) == 1u;
    let below = (1u << params.level) - 1u;
    let last = step.shard + 1u >= step.shards;
    if holds && (last || (step.shard & below) == below) {
        gradients[i] = partial[i] + gradients[i];
    } else if !last && (step.shard & below) == below {
        partial[i] = gradients[i];
    }
}
