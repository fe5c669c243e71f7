// loss[n] = -sum over c of t[n, c] log q[n, c], with q = p / (sum of p[n]) clipped to [1e-7, 1 - 1e-7]
// dp[n, c] = dloss[n] / (sum of p[n]) (T - t[n, c] / q[n, c]), T the sum of the t[n] whose q is not clipped; only the term T for clipped q.
// One invocation computes one row. The target t is an index or a row of weights.
#import nan

override one_hot: bool; // whether targets are rows of f32, else indices

const LEAST: f32 = 1e-7;
const MOST: f32 = 0.9999999;
const BLOCK: u32 = 64u; // classes of a short sum

struct Params {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<storage, read> probabilities: array<f32>; // [rows, classes], p
@group(0) @binding(1) var<storage, read> targets: array<u32>;       // [rows], or [rows, classes] bits of f32
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;    // [rows]
@group(0) @binding(3) var<storage, read> dloss: array<f32>;         // [rows]
@group(0) @binding(4) var<storage, read_write> dp: array<f32>;      // [rows, classes]
@group(0) @binding(5) var<uniform> params: Params;

fn target_of(row: u32, label: u32) -> f32 {
    if one_hot {
        return bitcast<f32>(targets[row * params.classes + label]);
    }
    return select(0.0, 1.0, targets[row] == label);
}

fn total(row: u32) -> f32 {
    var sum = 0.0;
    var i = row * params.classes;
    let end = i + params.classes;
    while i < end {
        let stop = min(i + BLOCK, end);
        var part = 0.0;
        for (; i < stop; i++) {
            part += probabilities[i];
        }
        sum += part;
    }
    return sum;
}

// Whether q is not clipped, as NaN is.
fn is_kept(q: f32) -> bool {
    return is_nan(q) || (q >= LEAST && q <= MOST);
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x;
    if row >= params.rows {
        return;
    }
    let sum = total(row);
    var found = 0.0;
    var c = 0u;
    while c < params.classes {
        let stop = min(c + BLOCK, params.classes);
        var part = 0.0;
        for (; c < stop; c++) {
            let q = clamp_or_nan(probabilities[row * params.classes + c] / sum, LEAST, MOST);
            part -= target_of(row, c) * log(q);
        }
        found += part;
    }
    loss[row] = found;
}

@compute @workgroup_size(64)
fn gradient(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x;
    if row >= params.rows {
        return;
    }
    let sum = total(row);
    var kept = 0.0;
    var first = 0u;
    while first < params.classes {
        let stop = min(first + BLOCK, params.classes);
        var part = 0.0;
        for (var c = first; c < stop; c++) {
            let t = target_of(row, c);
            part += unless_nan(select(0.0, t, is_kept(probabilities[row * params.classes + c] / sum)), t);
        }
        kept += part;
        first = stop;
    }
    for (var c = 0u; c < params.classes; c++) {
        let i = row * params.classes + c;
        let q = probabilities[i] / sum;
        dp[i] = dloss[row] / sum * (kept - select(0.0, target_of(row, c) / q, is_kept(q)));
    }
}
