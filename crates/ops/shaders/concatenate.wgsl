// y[p, first + c] = x[p, c] and, for the gradient, x[p, c] = y[p, first + c].
// One invocation copies one channel of 8 pixels; one call per concatenated tensor.
#import channels
#import value

struct Params {
    pixels: u32,   // P
    channels: u32, // C, of the part
    all: u32,      // channels of the whole
    first: u32,    // the part's first channel in the whole
}

@group(0) @binding(0) var<storage, read> x: array<Value>;        // [P, C]
@group(0) @binding(1) var<storage, read_write> y: array<Value>;  // [P, all]
@group(0) @binding(2) var<storage, read> dy: array<Value>;       // [P, all]
@group(0) @binding(3) var<storage, read_write> dx: array<Value>; // [P, C]
@group(0) @binding(4) var<uniform> params: Params;

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, params.channels);
    let begin = first_pixel(group, groups, local, params.channels);
    let end = min(begin + INVOCATION_PIXELS, params.pixels);
    if c < params.channels {
        for (var p = begin; p < end; p++) {
            y[p * params.all + params.first + c] = x[p * params.channels + c];
        }
    }
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let c = column_of(group, groups, local, params.channels);
    let begin = first_pixel(group, groups, local, params.channels);
    let end = min(begin + INVOCATION_PIXELS, params.pixels);
    if c < params.channels {
        for (var p = begin; p < end; p++) {
            dx[p * params.channels + c] = dy[p * params.all + params.first + c];
        }
    }
}
