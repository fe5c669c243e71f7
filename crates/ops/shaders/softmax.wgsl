// y[n, c] = exp(x[n, c] - max x[n]) / sum of the same over the row; dx[n, c] = y[n, c] (dy[n, c] - sum over j of dy[n, j] y[n, j])
// With `logarithm`, y[n, c] = x[n, c] - max x[n] - log(sum) and dx[n, c] = dy[n, c] - exp(y[n, c]) sum over j of dy[n, j].
// One invocation computes one row, in order.
#import linear

const BLOCK: u32 = 64u; // classes of a short sum

override logarithm: bool; // whether y is the logarithm

struct Params {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [rows, classes]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [rows, classes]
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> probabilities: array<f32>; // [rows, classes], the y of `forward`
@group(0) @binding(4) var<storage, read> dy: array<f32>;       // [rows, classes]
@group(0) @binding(5) var<storage, read_write> dx: array<f32>; // [rows, classes]

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(group, groups, local);
    if row >= params.rows {
        return;
    }
    let first = row * params.classes;
    let end = first + params.classes;
    var largest = x[first];
    for (var i = first + 1u; i < end; i++) {
        largest = max(largest, x[i]);
    }
    var total = 0.0;
    var c = 0u;
    while c < params.classes {
        let stop = min(c + BLOCK, params.classes);
        var part = 0.0;
        for (; c < stop; c++) {
            part += exp(x[first + c] - largest);
        }
        total += part;
    }
    for (var i = first; i < end; i++) {
        if logarithm {
            y[i] = x[i] - largest - log(total);
        } else {
            y[i] = exp(x[i] - largest) / total;
        }
    }
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(group, groups, local);
    if row >= params.rows {
        return;
    }
    let first = row * params.classes;
    let end = first + params.classes;
    var product = 0.0;
    var c = 0u;
    while c < params.classes {
        let stop = min(c + BLOCK, params.classes);
        var part = 0.0;
        for (; c < stop; c++) {
            if logarithm {
                part += dy[first + c];
            } else {
                part += dy[first + c] * probabilities[first + c];
            }
        }
        product += part;
    }
    for (var i = first; i < end; i++) {
        let p = probabilities[i];
        if logarithm {
            dx[i] = dy[i] - exp(p) * product;
        } else {
            dx[i] = p * (dy[i] - product);
        }
    }
}
