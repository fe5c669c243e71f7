// loss[n] = -sum over c of t[n, c] log q[n, c], with q = p / (sum of p[n]) clipped to [1e-7, 1 - 1e-7]
// dp[n, c] = dloss[n] / (sum of p[n]) (T - t[n, c] / q[n, c]), T the sum of the t[n] whose q is not clipped; T alone where it is.
// One invocation computes one row. The target t is an index or a row of weights.

override one_hot: bool; // whether targets are rows of f32, else indices

const LEAST: f32 = 1e-7;
const MOST: f32 = 0.9999999;

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
    for (var c = 0u; c < params.classes; c++) {
        sum += probabilities[row * params.classes + c];
    }
    return sum;
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x;
    if row >= params.rows {
        return;
    }
    let sum = total(row);
    var found = 0.0;
    for (var c = 0u; c < params.classes; c++) {
        let q = min(max(probabilities[row * params.classes + c] / sum, LEAST), MOST);
        found -= target_of(row, c) * log(q);
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
    for (var c = 0u; c < params.classes; c++) {
        let q = probabilities[row * params.classes + c] / sum;
        kept += select(0.0, target_of(row, c), q >= LEAST && q <= MOST);
    }
    for (var c = 0u; c < params.classes; c++) {
        let i = row * params.classes + c;
        let q = probabilities[i] / sum;
        dp[i] = dloss[row] / sum * (kept - select(0.0, target_of(row, c) / q, q >= LEAST && q <= MOST));
    }
}
