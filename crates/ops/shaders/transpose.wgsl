// y[b, j, i] = x[b, i, j].
// One invocation copies one element; adjacent invocations write adjacent elements.
#import linear

struct Params {
    batch: u32,
    rows: u32,    // I
    columns: u32, // J
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [B, I, J]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [B, J, I]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = linear_index(group, groups, local);
    let area = params.rows * params.columns;
    if at < params.batch * area {
        let i = at % params.rows;
        let j = (at % area) / params.rows;
        y[at] = x[at / area * area + i * params.columns + j];
    }
}
