// Functions that propagate NaN. WGSL does not specify max, min, clamp, sign, tanh and comparisons of NaN, and drivers
// differ: these functions test bits, which compilers do not optimise away.
const INFINITE: i32 = 0x7f800000; // the bits of infinity; the bits of a NaN without its sign are larger
const MINUS_INFINITE: i32 = -0x800000; // the bits of minus infinity; as integers, those of other negative floats are smaller

// The bits of |v|, ordered like the values, with NaN above all.
fn magnitude(v: f32) -> i32 {
    return bitcast<i32>(v) & 0x7fffffff;
}

fn is_nan(v: f32) -> bool {
    return magnitude(v) > INFINITE;
}

// `value`, or v if that is NaN.
fn unless_nan(value: f32, v: f32) -> f32 {
    return select(value, v, is_nan(v));
}

// `value`, or NaN if one of several values was NaN, given their `largest` magnitude.
fn unless_any_nan(value: f32, largest: i32) -> f32 {
    return select(value, bitcast<f32>(largest), largest > INFINITE);
}

fn max_or_nan(a: f32, b: f32) -> f32 {
    return unless_any_nan(max(a, b), max(magnitude(a), magnitude(b)));
}

fn clamp_or_nan(v: f32, low: f32, high: f32) -> f32 {
    let largest = max(magnitude(v), max(magnitude(low), magnitude(high)));
    return unless_any_nan(min(max(v, low), high), largest);
}

// max(v, 0)
fn relu_or_nan(v: f32) -> f32 {
    return select(v, 0.0, bitcast<i32>(v) <= MINUS_INFINITE);
}

// v where the gate is above 0, else 0.
fn gated_or_nan(v: f32, gate: f32) -> f32 {
    return unless_any_nan(select(0.0, v, gate > 0.0), max(magnitude(v), magnitude(gate)));
}
