// The weights and the bias of a convolution with the batch normalization of its result: with
// factor = gamma / sqrt(variance + epsilon), folded_weights = weights factor and
// folded_bias = (bias - mean) factor + beta, per column.
// One invocation computes one weight or one bias.
#import linear

override has_bias: bool; // whether the convolution has a bias; else it is bound but not read
override scale: bool;    // whether there is a gamma; else it is bound but not read
override center: bool;   // whether there is a beta; else it is bound but not read

struct Params {
    count: u32,   // weights
    columns: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> weights: array<f32>;               // [count / columns, columns]
@group(0) @binding(1) var<storage, read> bias: array<f32>;                  // [columns]
@group(0) @binding(2) var<storage, read> mean: array<f32>;                  // [columns]
@group(0) @binding(3) var<storage, read> variance: array<f32>;              // [columns]
@group(0) @binding(4) var<storage, read> gamma: array<f32>;                 // [columns]
@group(0) @binding(5) var<storage, read> beta: array<f32>;                  // [columns]
@group(0) @binding(6) var<storage, read_write> folded_weights: array<f32>;  // [count / columns, columns]
@group(0) @binding(7) var<storage, read_write> folded_bias: array<f32>;     // [columns]
@group(0) @binding(8) var<uniform> params: Params;

fn factor_of(column: u32) -> f32 {
    var factor = 1.0 / sqrt(variance[column] + params.epsilon);
    if scale {
        factor *= gamma[column];
    }
    return factor;
}

@compute @workgroup_size(256)
fn of_weights(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        folded_weights[i] = weights[i] * factor_of(i % params.columns);
    }
}

@compute @workgroup_size(256)
fn of_bias(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let column = linear_index(group, groups, local);
    if column < params.columns {
        var value = -mean[column];
        if has_bias {
            value += bias[column];
        }
        value *= factor_of(column);
        if center {
            value += beta[column];
        }
        folded_bias[column] = value;
    }
}
