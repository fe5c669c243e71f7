// y = epilogue(gamma (x - mean) / sqrt(variance + epsilon) + beta)
// One invocation computes one column of 8 rows, where a row is one or several pixels with all their channels.
#import channels
#import epilogue

override scale: bool;  // whether there is a gamma; else it is bound but not read
override center: bool; // whether there is a beta; else it is bound but not read

struct Params {
    rows: u32,
    width: u32,    // columns: a multiple of the channels
    channels: u32, // C
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Value>;        // [rows, width]
@group(0) @binding(1) var<storage, read> mean: array<Value>;     // [channels]
@group(0) @binding(2) var<storage, read> variance: array<Value>; // [channels]
@group(0) @binding(3) var<storage, read> gamma: array<Value>;    // [channels]
@group(0) @binding(4) var<storage, read> beta: array<Value>;     // [channels]
@group(0) @binding(5) var<storage, read> gates: array<Value>;    // [rows, width]; bound but not read without a gate
@group(0) @binding(6) var<storage, read_write> y: array<Value>;  // [rows, width]
@group(0) @binding(7) var<uniform> params: Params;

// y = (x - mean) factor + offset
struct Terms {
    mean: Value,
    factor: Value,
    offset: Value,
}

fn terms_of(c: u32) -> Terms {
    var factor = 1.0 / sqrt(variance[c] + params.epsilon);
    var offset = Value();
    if scale {
        factor *= gamma[c];
    }
    if center {
        offset = beta[c];
    }
    return Terms(mean[c], factor, offset);
}

#quads
@compute @workgroup_size(LANES, PIXEL_GROUPS)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let column = column_of(group, groups, local, params.width);
    if column >= params.width {
        return;
    }
    var terms: Terms;
    if params.width == params.channels {
        terms = terms_of(column); // adjacent columns are adjacent channels
    } else {
        terms = terms_of(column % params.channels);
    }
    let first = first_pixel(group, groups, local, params.width);
    let end = min(first + INVOCATION_PIXELS, params.rows);
    for (var row = first; row < end; row++) {
        let at = row * params.width + column;
        y[at] = finish(at, (x[at] - terms.mean) * terms.factor + terms.offset);
    }
}
