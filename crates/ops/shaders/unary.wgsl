// y = f(x) and dx = dy f'(x), element by element.
// One invocation computes one element.
#import linear
#import nan

const ABS: u32 = 0u;
const CLIP: u32 = 1u;
const EXP: u32 = 2u;
const LOG: u32 = 3u;
const POWER: u32 = 4u;
const SQRT: u32 = 5u;
const SQUARE: u32 = 6u;

override function: u32;

struct Params {
    count: u32,
    exponent: f32, // of POWER
    low: f32,      // of CLIP
    high: f32,     // of CLIP
}

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [count]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [count]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

const LEAST_NORMAL: f32 = 1.17549435e-38;

// v, or 0 for a denormal, of which drivers take wrong logarithms.
fn normal(v: f32) -> f32 {
    return select(v, 0.0, abs(v) < LEAST_NORMAL);
}

// v^exponent. WGSL's pow is defined for v > 0 only, and drivers differ at 0 for negative exponents.
fn power(v: f32, exponent: f32) -> f32 {
    if exponent == 0.0 {
        return 1.0;
    }
    let above = pow(normal(abs(v)), abs(exponent));
    let size = select(above, 1.0 / above, exponent < 0.0);
    let half = 0.5 * exponent;
    let negative = select(size, -size, floor(half) != half); // of a whole exponent
    let of_negative = select(log(v), negative, floor(exponent) == exponent);
    return select(size, of_negative, v < 0.0);
}

fn value(v: f32) -> f32 {
    switch function {
        case ABS: { return abs(v); }
        case CLIP: { return min(max(v, params.low), params.high); }
        case EXP: { return exp(v); }
        case LOG: { return log(normal(v)); }
        case POWER: { return power(v, params.exponent); }
        case SQRT: { return sqrt(v); }
        default: { return v * v; }
    }
}

fn slope(v: f32) -> f32 {
    switch function {
        case ABS: { return sign(v); }
        case EXP: { return exp(v); }
        case LOG: { return 1.0 / v; }
        case POWER: {
            if params.exponent == 0.0 {
                return 0.0;
            }
            return params.exponent * power(v, params.exponent - 1.0);
        }
        case SQRT: { return 0.5 / sqrt(v); }
        default: { return 2.0 * v; }
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
        let v = x[i];
        if function == CLIP {
            let passed = select(0.0, dy[i], params.low <= v && v <= params.high);
            dx[i] = unless_any_nan(passed, max(magnitude(v), magnitude(dy[i])));
        } else {
            dx[i] = unless_nan(dy[i] * slope(v), v);
        }
    }
}
