// y = f(x) and dx = dy * f'(x), elementwise.
// One invocation computes one element. Where a rectifier is 0, the gradient is 0, even for infinite dy.
#import linear
#import nan

const RELU: u32 = 0u;
const SIGMOID: u32 = 1u;
const TANH: u32 = 2u;
const ELU: u32 = 3u;
const LEAKY_RELU: u32 = 4u;
const SOFTPLUS: u32 = 5u;
const SELU: u32 = 6u;
const GELU: u32 = 7u;
const SWISH: u32 = 8u;

const LEAKY_RELU_SLOPE: f32 = 0.2;            // keras.activations.leaky_relu
const SELU_ALPHA: f32 = 1.6732632;
const SELU_SCALE: f32 = 1.050701;
const SQRT_HALF: f32 = 0.70710678;
const SQRT_HALF_OVER_PI: f32 = 0.3989422804;  // 1 / sqrt(2 pi)

override function: u32;

struct Params {
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]; for `gradient` y, if f' is computed from y
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<storage, read> dy: array<f32>;      // [count]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

fn sigmoid(v: f32) -> f32 {
    return 1.0 / (1.0 + exp(-v));
}

// erf after Abramowitz and Stegun 7.1.26 refined by Hastings: absolute error below 1.2e-7 (Numerical Recipes' erfc).
fn erf(v: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * abs(v));
    let series = t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807
        + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    let complement = t * exp(-v * v - 1.26551223 + series);
    return select(complement - 1.0, 1.0 - complement, v >= 0.0);
}

// tanh overflows on some drivers beyond 44; it rounds to 1 from 9.1 on.
fn safe_tanh(v: f32) -> f32 {
    return tanh(clamp(v, -10.0, 10.0));
}

fn value(v: f32) -> f32 {
    switch function {
        case RELU: { return max(v, 0.0); }
        case SIGMOID: { return sigmoid(v); }
        case TANH: { return safe_tanh(v); }
        case ELU: { return select(exp(min(v, 0.0)) - 1.0, v, v > 0.0); }
        case LEAKY_RELU: { return select(LEAKY_RELU_SLOPE * v, v, v > 0.0); }
        case SOFTPLUS: { return max(v, 0.0) + log(1.0 + exp(-abs(v))); }
        case SELU: { return SELU_SCALE * select(SELU_ALPHA * (exp(min(v, 0.0)) - 1.0), v, v > 0.0); }
        case GELU: { return 0.5 * v * (1.0 + erf(v * SQRT_HALF)); }
        case SWISH: { return v * sigmoid(v); }
        default: { return v; }
    }
}

// f' from y = f(x), or (gelu, swish) from x.
fn slope(v: f32) -> f32 {
    switch function {
        case SIGMOID: { return v * (1.0 - v); }
        case TANH: { return 1.0 - v * v; }
        case ELU: { return select(v + 1.0, 1.0, v > 0.0); }
        case LEAKY_RELU: { return select(LEAKY_RELU_SLOPE, 1.0, v > 0.0); }
        case SOFTPLUS: { return 1.0 - exp(-v); }
        case SELU: { return select(v + SELU_SCALE * SELU_ALPHA, SELU_SCALE, v > 0.0); }
        case GELU: { return 0.5 * (1.0 + erf(v * SQRT_HALF)) + v * SQRT_HALF_OVER_PI * exp(-0.5 * v * v); }
        case SWISH: { let s = sigmoid(v); return s + v * s * (1.0 - s); }
        default: { return 1.0; }
    }
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        y[i] = unless_nan(value(x[i]), x[i]);
    }
}

@compute @workgroup_size(256)
fn gradient(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(group, groups, local);
    if i < params.count {
        if function == RELU {
            dx[i] = gated_or_nan(dy[i], x[i]);
        } else {
            dx[i] = unless_nan(dy[i] * slope(x[i]), x[i]);
        }
    }
}
