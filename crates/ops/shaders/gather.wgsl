// y[i, e] = scale * x[order[first + i], e] + offset, where the step says what `first` is; u32 are taken as they are.
// One invocation computes one element.
#import linear
#import step

override elements: u32; // E, of one sample

struct Params {
    count: u32, // elements of y
    first: u32, // which sample of the batch y begins with
    scale: f32,
    offset: f32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;       // [samples, E]: u8 in fours, u32, or the bits of f32
@group(0) @binding(1) var<storage, read> order: array<u32>;   // [places]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [batch, E]: u32 or the bits of f32
@group(0) @binding(3) var<uniform> params: Params;

// The element of x that y[i] is made of.
fn place(i: u32) -> u32 {
    return order[step.first + params.first + i / elements] * elements + i % elements;
}

@compute @workgroup_size(256)
fn bytes(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        let at = place(i);
        let byte = extractBits(x[at / 4u], at % 4u * 8u, 8u);
        y[i] = bitcast<u32>(params.scale * f32(byte) + params.offset);
    }
}

@compute @workgroup_size(256)
fn floats(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = bitcast<u32>(params.scale * bitcast<f32>(x[place(i)]) + params.offset);
    }
}

@compute @workgroup_size(256)
fn integers(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = x[place(i)];
    }
}
