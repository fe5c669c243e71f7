// loss[n] = mean over e of f(y[n, e], t[n, e]); dy[n, e] = dloss[n] / E f'(y[n, e], t[n, e])
// `narrow`: one invocation computes one row. `wide`: one workgroup does. `gradient`: one invocation computes one element.
#import linear
#import long_sum
#import nan

override function: u32;

const SQUARED_ERROR: u32 = 0u;
const ABSOLUTE_ERROR: u32 = 1u;
const CROSS_ENTROPY: u32 = 2u;
const CROSS_ENTROPY_OF_LOGITS: u32 = 3u;
const HIT: u32 = 4u;

// The clipping bounds of probabilities, as in Keras.
const LEAST: f32 = 1e-7;
const MOST: f32 = 0.9999999;

struct Params {
    rows: u32,      // N
    elements: u32,  // E, of a row
    threshold: f32, // above which y counts as 1
}

@group(0) @binding(0) var<storage, read> y: array<f32>;          // [N, E]
@group(0) @binding(1) var<storage, read> targets: array<f32>;    // [N, E], t
@group(0) @binding(2) var<storage, read_write> loss: array<f32>; // [N]
@group(0) @binding(3) var<storage, read> dloss: array<f32>;      // [N]
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;   // [N, E]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

fn value(x: f32, t: f32) -> f32 {
    switch function {
        case SQUARED_ERROR: {
            return (x - t) * (x - t);
        }
        case ABSOLUTE_ERROR: {
            return abs(x - t);
        }
        case CROSS_ENTROPY: {
            let p = clamp_or_nan(x, LEAST, MOST);
            return -(t * log(p) + (1.0 - t) * log(1.0 - p));
        }
        case CROSS_ENTROPY_OF_LOGITS: {
            return max(x, 0.0) - x * t + log(1.0 + exp(-abs(x)));
        }
        default: {
            // NaN is never a hit.
            let is_right = select(0.0, 1.0, x > params.threshold) == t;
            return select(0.0, 1.0, is_right && !is_nan(x) && !is_nan(t));
        }
    }
}

fn slope(x: f32, t: f32) -> f32 {
    switch function {
        case SQUARED_ERROR: {
            return 2.0 * (x - t);
        }
        case ABSOLUTE_ERROR: {
            return unless_nan(sign(x - t), x - t);
        }
        case CROSS_ENTROPY: {
            let p = clamp_or_nan(x, LEAST, MOST);
            let inside = (1.0 - t) / (1.0 - p) - t / p;
            return select(inside, 0.0, p != x && !is_nan(x) && !is_nan(t));
        }
        default: {
            return 1.0 / (1.0 + exp(-x)) - t;
        }
    }
}

@compute @workgroup_size(256)
fn narrow(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(group, groups, local);
    if row >= params.rows {
        return;
    }
    var sum = 0.0;
    for (var e = 0u; e < params.elements; e++) {
        let i = row * params.elements + e;
        sum += value(y[i], targets[i]);
    }
    loss[row] = sum / f32(params.elements);
}

@compute @workgroup_size(64)
fn wide(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    let elements = select(0u, params.elements, row < params.rows);
    let first = row * params.elements;
    var sums_of_blocks = vec4f();
    var e = local;
    for (var block = 0u; block * TERMS * 64u < elements; block++) {
        let end = min((block + 1u) * TERMS * 64u, elements);
        var part = 0.0;
        for (; e < end; e += 64u) {
            part += value(y[first + e], targets[first + e]);
        }
        sums_of_blocks = add_block(sums_of_blocks, part, block);
    }
    sums[local] = sum_of_blocks(sums_of_blocks);
    // The first invocation reads the values of the others.
    workgroupBarrier();
    if local == 0u && row < params.rows {
        var total = 0.0;
        for (var i = 0u; i < 64u; i++) {
            total += sums[i];
        }
        loss[row] = total / f32(params.elements);
    }
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.rows * params.elements {
        dy[i] = dloss[i / params.elements] / f32(params.elements) * slope(y[i], targets[i]);
    }
}
