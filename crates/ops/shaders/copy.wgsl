// y = x.
// One invocation copies one element.
#import linear
#import value

struct Params {
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Value>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<Value>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

#quads
@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = x[i];
    }
}
