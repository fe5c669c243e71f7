// hits[n] = 1 where fewer than k of x[n] are larger than that of the target's first largest class and none is NaN, else 0
// One invocation computes one row. The target is an index or a row of weights.
#import nan

override one_hot: bool;       // whether targets are rows of f32, else indices
override first_of_ties: bool; // whether an equal value of an earlier class counts as larger

struct Params {
    rows: u32,
    classes: u32,
    k: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;          // [rows, classes]
@group(0) @binding(1) var<storage, read> targets: array<u32>;    // [rows], or [rows, classes] bits of f32
@group(0) @binding(2) var<storage, read_write> hits: array<f32>; // [rows]
@group(0) @binding(3) var<uniform> params: Params;

fn wanted(row: u32) -> u32 {
    if !one_hot {
        return targets[row];
    }
    let first = row * params.classes;
    var best = 0u;
    var largest = bitcast<f32>(targets[first]);
    for (var c = 1u; c < params.classes; c++) {
        let t = bitcast<f32>(targets[first + c]);
        if t > largest {
            largest = t;
            best = c;
        }
    }
    return best;
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x;
    if row >= params.rows {
        return;
    }
    let first = row * params.classes;
    let label = wanted(row);
    let value = x[first + label];
    var larger = 0u;
    var worst = 0;
    for (var c = 0u; c < params.classes; c++) {
        let other = x[first + c];
        let tie = first_of_ties && other == value && c < label;
        larger += select(0u, 1u, other > value || tie);
        worst = max(worst, magnitude(other));
        if one_hot {
            worst = max(worst, magnitude(bitcast<f32>(targets[first + c])));
        }
    }
    hits[row] = select(0.0, 1.0, larger < params.k && worst <= INFINITE);
}
