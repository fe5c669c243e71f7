// loss[n] = sum over the c with t[n, c] != 0 of t[n, c] (lse[n] - x[n, c]), lse[n] = log sum over c of exp(x[n, c]); dx[n, c] = dloss[n] (softmax(x)[n, c] sum t[n] - t[n, c])
// `forward`: one invocation computes one row; `rows`: one workgroup. `gradient`: one element. The target t is an index or a
// row of weights.
#import linear
#import nan

override one_hot: bool; // whether targets are rows of f32, else indices

const BLOCK: u32 = 64u; // classes of a short sum

struct Params {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;      // [rows, classes]
@group(0) @binding(1) var<storage, read> targets: array<u32>;     // [rows], or [rows, classes] bits of f32
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;  // [rows]
@group(0) @binding(3) var<storage, read_write> hits: array<f32>;  // [rows], 1 where the first largest logit is the first largest target and none is NaN
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
    var worst = max(magnitude(largest), magnitude(likeliest));
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
        worst = max(worst, max(magnitude(x), magnitude(t)));
    }
    var total = 0.0;
    var c = 0u;
    while c < params.classes {
        let stop = min(c + BLOCK, params.classes);
        var part = 0.0;
        for (; c < stop; c++) {
            part += exp(logits[first + c] - largest);
        }
        total += part;
    }
    let shifted = log(total);
    var sum = 0.0;
    c = 0u;
    while c < params.classes {
        let stop = min(c + BLOCK, params.classes);
        var part = 0.0;
        for (; c < stop; c++) {
            // Skips classes with weight 0, even if the logit is minus infinity: 0 times infinity is NaN.
            let t = target_of(row, c);
            part += select(t * (shifted + (largest - logits[first + c])), 0.0, magnitude(t) == 0);
        }
        sum += part;
    }
    loss[row] = sum;
    hits[row] = select(0.0, 1.0, predicted == wanted && worst <= INFINITE);
    lse[row] = largest + shifted;
}

const LANES: u32 = 64u; // of a workgroup of `rows`

var<workgroup> largests: array<f32, LANES>;  // the first largest logit of each lane,
var<workgroup> predicteds: array<u32, LANES>; // and its class
var<workgroup> likeliests: array<f32, LANES>; // the first largest target of each lane,
var<workgroup> wanteds: array<u32, LANES>;    // and its class
var<workgroup> worsts: array<i32, LANES>;     // the largest magnitude of both
var<workgroup> parts: array<f32, LANES>;

// Whether the value of a class comes before another: it is larger, or as large and of an earlier class.
fn precedes(value: f32, place: u32, other: f32, other_place: u32) -> bool {
    return value > other || value == other && place < other_place;
}

// The sum of the lanes' values, in the order of a binary tree.
fn sum_of_lanes(value: f32, local: u32) -> f32 {
    parts[local] = value;
    for (var apart = LANES / 2u; apart > 0u; apart /= 2u) {
        workgroupBarrier();
        if local < apart {
            parts[local] += parts[local + apart];
        }
    }
    workgroupBarrier();
    let sum = parts[0];
    workgroupBarrier();
    return sum;
}

// Lane i computes the classes i, i + LANES and so on. Rows are along x, wrapping to y.
#gpu_only
@compute @workgroup_size(LANES)
fn rows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let first = row * params.classes;
    let start = min(local, params.classes - 1u); // lanes past the last class compare it once more
    var largest = logits[first + start];
    var predicted = start;
    var likeliest = target_of(row, start);
    var wanted = start;
    var worst = max(magnitude(largest), magnitude(likeliest));
    for (var c = start + LANES; c < params.classes; c += LANES) {
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
        worst = max(worst, max(magnitude(x), magnitude(t)));
    }
    largests[local] = largest;
    predicteds[local] = predicted;
    likeliests[local] = likeliest;
    wanteds[local] = wanted;
    worsts[local] = worst;
    for (var apart = LANES / 2u; apart > 0u; apart /= 2u) {
        workgroupBarrier();
        if local < apart {
            let other = local + apart;
            if precedes(largests[other], predicteds[other], largests[local], predicteds[local]) {
                largests[local] = largests[other];
                predicteds[local] = predicteds[other];
            }
            if precedes(likeliests[other], wanteds[other], likeliests[local], wanteds[local]) {
                likeliests[local] = likeliests[other];
                wanteds[local] = wanteds[other];
            }
            worsts[local] = max(worsts[local], worsts[other]);
        }
    }
    workgroupBarrier();
    largest = largests[0];

    var total = 0.0;
    for (var c = local; c < params.classes; c += LANES) {
        total += exp(logits[first + c] - largest);
    }
    let shifted = log(sum_of_lanes(total, local));
    var sum = 0.0;
    for (var c = local; c < params.classes; c += LANES) {
        // As in `forward`.
        let t = target_of(row, c);
        sum += select(t * (shifted + (largest - logits[first + c])), 0.0, magnitude(t) == 0);
    }
    sum = sum_of_lanes(sum, local);
    if local == 0u {
        loss[row] = sum;
        hits[row] = select(0.0, 1.0, predicteds[0] == wanteds[0] && worsts[0] <= INFINITE);
        lse[row] = largest + shifted;
    }
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
        var c = 0u;
        while c < params.classes {
            let stop = min(c + BLOCK, params.classes);
            var part = 0.0;
            for (; c < stop; c++) {
                part += target_of(row, c);
            }
            weight += part;
        }
    }
    dx[i] = dloss[row] * (weight * exp(logits[i] - normalizer[row]) - target_of(row, i % params.classes));
}
