// t[n, c] = scale (1 where c is the label of n, else 0) + offset; of rows of weights: scale w[n, c] + offset
// One invocation computes one element. With one class, a label is the weight itself.
#import linear

override one_hot: bool; // whether labels are rows of f32, else indices

struct Params {
    count: u32,   // elements of t
    classes: u32,
    scale: f32,
    offset: f32,
}

@group(0) @binding(0) var<storage, read> labels: array<u32>;  // [rows], or [rows, classes] bits of f32
@group(0) @binding(1) var<storage, read_write> t: array<f32>; // [rows, classes]
@group(0) @binding(2) var<uniform> params: Params;

fn weight(i: u32) -> f32 {
    if one_hot {
        return bitcast<f32>(labels[i]);
    }
    let label = labels[i / params.classes];
    return select(select(0.0, 1.0, label == i % params.classes), f32(label), params.classes == 1u);
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        t[i] = params.scale * weight(i) + params.offset;
    }
}
