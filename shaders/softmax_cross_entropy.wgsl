// loss[n] = sum over c of t[n, c] (lse[n] - x[n, c]), lse[n] = log sum over c of exp(x[n, c]); dx[n, c] = dloss[n] (softmax(x)[n, c] sum t[n] - t[n, c])
// `forward`: one invocation computes one row. `gradient`: one element. The target t is an index or a row of weights.
#import linear

override one_hot: bool; // whether targets are rows of f32, else indices

struct Params {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;      // [rows, classes]
@group(0) @binding(1) var<storage, read> targets: array<u32>;     // [rows], or [rows, classes] bits of f32
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;  // [rows]
@group(0) @binding(3) var<storage, read_write> hits: array<f32>;  // [rows], 1 where the first largest logit is the first largest target
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;   // [rows]
@group(0) @binding(5) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read> normalizer: array<f32>;  // [rows], the lse of `forward`
@group(0) @binding(7) var<storage, read> dloss: array<f32>;       // [rows]
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;    // [rows, classes]

fn target_of(row: u32, label: u32) -> f32 {
    if one_hot {
        return bitcast<f32>(targets[row * params.classes + label]);
    }
    return select(0.0, 1.0, targets[row] == label);
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x;
    if row >= params.rows {
        return;
    }
    let first = row * params.classes;
    var largest = logits[first];
    var predicted = 0u;
    var likeliest = target_of(row, 0u);
    var wanted = 0u;
    for (var c = 1u; c < params.classes; c++) {
        let x = logits[first + c];
        if x > largest {
            largest = x;
            predicted = c;
        }
        let t = target_of(row, c);
        if t > likeliest {
            likeliest = t;
            wanted = c;
        }
    }
    var total = 0.0;
    for (var c = 0u; c < params.classes; c++) {
        total += exp(logits[first + c] - largest);
    }
    let shifted = log(total);
    var sum = 0.0;
    for (var c = 0u; c < params.classes; c++) {
        sum += target_of(row, c) * (shifted + (largest - logits[first + c]));
    }
    loss[row] = sum;
    hits[row] = select(0.0, 1.0, predicted == wanted);
    lse[row] = largest + shifted;
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i >= params.rows * params.classes {
        return;
    }
    let row = i / params.classes;
    var weight = 1.0;
    if one_hot {
        weight = 0.0;
        for (var c = 0u; c < params.classes; c++) {
            weight += target_of(row, c);
        }
    }
    dx[i] = dloss[row] * (weight * exp(logits[i] - normalizer[row]) - target_of(row, i % params.classes));
}
