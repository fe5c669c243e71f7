// y = f(x) and dx = dy * f'(x), elementwise.
// One invocation computes one element. Where a rectifier is 0, the gradient is 0, even for infinite dy.
#import linear
#import nan
#import value

const RELU: u32 = 0u;
const SIGMOID: u32 = 1u;
const TANH: u32 = 2u;
const ELU: u32 = 3u;
const LEAKY_RELU: u32 = 4u;
const SOFTPLUS: u32 = 5u;
const SELU: u32 = 6u;
const GELU: u32 = 7u;
const SWISH: u32 = 8u;
const CELU: u32 = 9u;
const EXPONENTIAL: u32 = 10u;
const GELU_TANH: u32 = 11u;
const LOG_SIGMOID: u32 = 12u;
const MISH: u32 = 13u;
const SOFTSIGN: u32 = 14u;
const SQUAREPLUS: u32 = 15u;
const TANH_SHRINK: u32 = 16u;
// Piecewise: where the slope is 0, the gradient is 0, even for infinite dy.
const HARD_SHRINK: u32 = 17u;
const HARD_SIGMOID: u32 = 18u;
const HARD_SILU: u32 = 19u;
const HARD_TANH: u32 = 20u;
const RELU6: u32 = 21u;
const SOFT_SHRINK: u32 = 22u;
const SPARSE_PLUS: u32 = 23u;
const SPARSE_SIGMOID: u32 = 24u;

const LEAKY_RELU_SLOPE: f32 = 0.2;            // keras.activations.leaky_relu
const SELU_ALPHA: f32 = 1.6732632;
const SELU_SCALE: f32 = 1.050701;
const SQRT_HALF: f32 = 0.70710678;
const SQRT_HALF_OVER_PI: f32 = 0.3989422804;  // 1 / sqrt(2 pi)
const SQRT_2_OVER_PI: f32 = 0.7978845608;     // sqrt(2 / pi)
const GELU_CUBIC: f32 = 0.044715;
const SHRINK: f32 = 0.5;                      // the thresholds of keras.activations.hard_shrink and soft_shrink
const SQUAREPLUS_B: f32 = 4.0;                // keras.activations.squareplus

override function: u32;

struct Params {
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Value>;       // [count]; for `gradient` y, if f' is computed from y
@group(0) @binding(1) var<storage, read_write> y: array<Value>; // [count]
@group(0) @binding(2) var<storage, read> dy: array<Value>;      // [count]
@group(0) @binding(3) var<storage, read_write> dx: array<Value>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

fn bounded(v: Value, low: f32, high: f32) -> Value {
    return clamp(v, Value(low), Value(high));
}

fn sigmoid(v: Value) -> Value {
    return 1.0 / (1.0 + exp(-v));
}

// erf after Abramowitz and Stegun 7.1.26 refined by Hastings: absolute error below 1.2e-7 (Numerical Recipes' erfc).
fn erf(v: Value) -> Value {
    let t = 1.0 / (1.0 + 0.5 * abs(v));
    let series = t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807
        + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    let complement = t * exp(-v * v - 1.26551223 + series);
    return select(complement - 1.0, 1.0 - complement, v >= Value());
}

// tanh overflows on some drivers beyond 44; it rounds to 1 from 9.1 on.
fn safe_tanh(v: Value) -> Value {
    return tanh(bounded(v, -10.0, 10.0));
}

// The tanh in the approximation of gelu (Hendrycks and Gimpel 2016).
fn gelu_tanh(v: Value) -> Value {
    return safe_tanh(SQRT_2_OVER_PI * (v + GELU_CUBIC * v * v * v));
}

fn softplus(v: Value) -> Value {
    return max(v, Value()) + log(1.0 + exp(-abs(v)));
}

fn hard_sigmoid(v: Value) -> Value {
    return bounded(v + 3.0, 0.0, 6.0) / 6.0;
}

// 1 / 6 where a hard sigmoid rises, else 0.
fn hard_sigmoid_slope(v: Value) -> Value {
    return select(Value(), Value(1.0 / 6.0), abs(v) < Value(3.0));
}

fn value(v: Value) -> Value {
    switch function {
        case RELU: { return max(v, Value()); }
        case SIGMOID: { return sigmoid(v); }
        case TANH: { return safe_tanh(v); }
        case ELU, CELU: { return select(exp(min(v, Value())) - 1.0, v, v > Value()); }
        case LEAKY_RELU: { return select(LEAKY_RELU_SLOPE * v, v, v > Value()); }
        case SOFTPLUS: { return softplus(v); }
        case SELU: { return SELU_SCALE * select(SELU_ALPHA * (exp(min(v, Value())) - 1.0), v, v > Value()); }
        case GELU: { return 0.5 * v * (1.0 + erf(v * SQRT_HALF)); }
        case SWISH: { return v * sigmoid(v); }
        case EXPONENTIAL: { return exp(v); }
        case GELU_TANH: { return 0.5 * v * (1.0 + gelu_tanh(v)); }
        case LOG_SIGMOID: { return -softplus(-v); }
        case MISH: { return v * safe_tanh(softplus(v)); }
        case SOFTSIGN: { return v / (1.0 + abs(v)); }
        case SQUAREPLUS: { return 0.5 * (v + sqrt(v * v + SQUAREPLUS_B)); }
        case TANH_SHRINK: { return v - safe_tanh(v); }
        case HARD_SHRINK: { return select(Value(), v, abs(v) > Value(SHRINK)); }
        case HARD_SIGMOID: { return hard_sigmoid(v); }
        case HARD_SILU: { return v * hard_sigmoid(v); }
        case HARD_TANH: { return bounded(v, -1.0, 1.0); }
        case RELU6: { return bounded(v, 0.0, 6.0); }
        case SOFT_SHRINK: { return v - bounded(v, -SHRINK, SHRINK); }
        case SPARSE_PLUS: { return select(max(v, Value()), 0.25 * (v + 1.0) * (v + 1.0), abs(v) < Value(1.0)); }
        case SPARSE_SIGMOID: { return 0.5 * (bounded(v, -1.0, 1.0) + 1.0); }
        default: { return v; }
    }
}

// f' from y = f(x) up to selu and for celu and exp, or from x.
fn slope(v: Value) -> Value {
    switch function {
        case SIGMOID: { return v * (1.0 - v); }
        case TANH: { return 1.0 - v * v; }
        case ELU, CELU: { return select(v + 1.0, Value(1.0), v > Value()); }
        case LEAKY_RELU: { return select(Value(LEAKY_RELU_SLOPE), Value(1.0), v > Value()); }
        case SOFTPLUS: { return 1.0 - exp(-v); }
        case SELU: { return select(v + SELU_SCALE * SELU_ALPHA, Value(SELU_SCALE), v > Value()); }
        case GELU: { return 0.5 * (1.0 + erf(v * SQRT_HALF)) + v * SQRT_HALF_OVER_PI * exp(-0.5 * v * v); }
        case SWISH: { let s = sigmoid(v); return s + v * s * (1.0 - s); }
        case EXPONENTIAL: { return v; }
        case GELU_TANH: {
            let t = gelu_tanh(v);
            return 0.5 * (1.0 + t) + 0.5 * v * (1.0 - t * t) * SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * v * v);
        }
        case LOG_SIGMOID: { return sigmoid(-v); }
        case MISH: { let t = safe_tanh(softplus(v)); return t + v * sigmoid(v) * (1.0 - t * t); }
        case SOFTSIGN: { let d = 1.0 + abs(v); return 1.0 / (d * d); }
        case SQUAREPLUS: { return 0.5 * (1.0 + v / sqrt(v * v + SQUAREPLUS_B)); }
        case TANH_SHRINK: { let t = safe_tanh(v); return t * t; }
        case HARD_SHRINK, SOFT_SHRINK: { return select(Value(), Value(1.0), abs(v) > Value(SHRINK)); }
        case HARD_SIGMOID: { return hard_sigmoid_slope(v); }
        case HARD_SILU: { return hard_sigmoid(v) + v * hard_sigmoid_slope(v); }
        case HARD_TANH: { return select(Value(), Value(1.0), abs(v) <= Value(1.0)); }
        case RELU6: { return select(Value(), Value(1.0), (v > Value()) & (v < Value(6.0))); }
        case SPARSE_PLUS: { return bounded(0.5 * (v + 1.0), 0.0, 1.0); }
        case SPARSE_SIGMOID: { return select(Value(), Value(0.5), abs(v) < Value(1.0)); }
        default: { return Value(1.0); }
    }
}

#quads
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

#quads
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
        } else if function >= HARD_SHRINK {
            let rise = slope(x[i]);
            dx[i] = unless_any_nan(select(dy[i] * rise, Value(), rise == Value()), max(magnitude(x[i]), magnitude(dy[i])));
        } else {
            dx[i] = unless_nan(dy[i] * slope(x[i]), x[i]);
        }
    }
}
