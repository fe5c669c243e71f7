// y[n, c] = exp(x[n, c] - max x[n]) / sum of the same over the row; dx[n, c] = y[n, c] (dy[n, c] - sum over j of dy[n, j] y[n, j])
// With LOGARITHM, y[n, c] = x[n, c] - max x[n] - log(sum) and dx[n, c] = dy[n, c] - exp(y[n, c]) sum over j of dy[n, j].
// With SPARSE, y[n, c] = max(x[n, c] - t[n], 0), where t[n] makes the sum of a row 1 (Martins and Astudillo 2016), and
// dx[n, c] = dy[n, c] - mean of dy[n, j] over the j with y[n, j] > 0 where y[n, c] > 0, else 0.
// One invocation computes one row, in order.
#import linear
#import nan

const BLOCK: u32 = 64u; // classes of a short sum

const PROBABILITY: u32 = 0u;
const LOGARITHM: u32 = 1u;
const SPARSE: u32 = 2u;

override form: u32;

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
        if form == LOGARITHM {
            y[i] = x[i] - largest - log(total);
        } else {
            y[i] = exp(x[i] - largest) / total;
        }
    }
}

// Removes the values at or below the mean excess of those that are left, until none is (Michelot 1986): as many rounds
// as there are values at most, and few in practice.
@compute @workgroup_size(256)
fn sparse(
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
    var magnitudes = 0;
    for (var i = first; i < end; i++) {
        largest = max(largest, x[i]);
        magnitudes = max(magnitudes, magnitude(x[i]));
    }
    // Values are relative to the largest, so that the threshold is -1 or more and below 0.
    var threshold = -1.0;
    var left = params.classes + 1u;
    for (var round = 0u; round < params.classes; round++) {
        var total = 0.0;
        var count = 0u;
        for (var i = first; i < end; i++) {
            let v = x[i] - largest;
            if v > threshold {
                total += v;
                count++;
            }
        }
        if count == left || count == 0u {
            break;
        }
        left = count;
        threshold = max(threshold, (total - 1.0) / f32(count));
    }
    for (var i = first; i < end; i++) {
        y[i] = unless_any_nan(max(x[i] - largest - threshold, 0.0), magnitudes);
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
    var count = 0.0;
    var c = 0u;
    while c < params.classes {
        let stop = min(c + BLOCK, params.classes);
        var part = 0.0;
        for (; c < stop; c++) {
            let p = probabilities[first + c];
            if form == LOGARITHM {
                part += dy[first + c];
            } else if form == SPARSE {
                part += select(0.0, dy[first + c], p > 0.0);
                count += select(0.0, 1.0, p > 0.0);
            } else {
                part += dy[first + c] * p;
            }
        }
        product += part;
    }
    for (var i = first; i < end; i++) {
        let p = probabilities[i];
        if form == LOGARITHM {
            dx[i] = dy[i] - exp(p) * product;
        } else if form == SPARSE {
            dx[i] = unless_nan(select(0.0, dy[i] - product / count, p > 0.0), p);
        } else {
            dx[i] = p * (dy[i] - product);
        }
    }
}
