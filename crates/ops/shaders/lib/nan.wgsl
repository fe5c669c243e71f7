// Functions that propagate NaN. WGSL does not specify max, min, clamp, sign, tanh and comparisons of NaN, and drivers
// differ: these functions test bits, which compilers do not optimise away.
#import value

const INFINITE: i32 = 0x7f800000; // the bits of infinity; the bits of a NaN without its sign are larger
const MINUS_INFINITE: i32 = -0x800000; // the bits of minus infinity; as integers, those of other negative floats are smaller

// The bits of |v|, ordered like the values, with NaN above all.
fn magnitude(v: Value) -> Bits {
    return bitcast<Bits>(v) & Bits(0x7fffffff);
}

fn is_nan(v: Value) -> Flags {
    return magnitude(v) > Bits(INFINITE);
}

// `value`, or v if that is NaN.
fn unless_nan(value: Value, v: Value) -> Value {
    return select(value, v, is_nan(v));
}

// `value`, or NaN if one of several values was NaN, given their `largest` magnitude.
fn unless_any_nan(value: Value, largest: Bits) -> Value {
    return select(value, bitcast<Value>(largest), largest > Bits(INFINITE));
}

fn max_or_nan(a: Value, b: Value) -> Value {
    return unless_any_nan(max(a, b), max(magnitude(a), magnitude(b)));
}

fn clamp_or_nan(v: Value, low: Value, high: Value) -> Value {
    let largest = max(magnitude(v), max(magnitude(low), magnitude(high)));
    return unless_any_nan(min(max(v, low), high), largest);
}

// max(v, 0)
fn relu_or_nan(v: Value) -> Value {
    return select(v, Value(), bitcast<Bits>(v) <= Bits(MINUS_INFINITE));
}

// min(max(v, 0), 6)
fn relu6_or_nan(v: Value) -> Value {
    return unless_nan(clamp(v, Value(), Value(6.0)), v);
}

// v where the gate is above 0, else 0.
fn gated_or_nan(v: Value, gate: Value) -> Value {
    return unless_any_nan(select(Value(), v, gate > Value()), max(magnitude(v), magnitude(gate)));
}

// v where the gate is above 0 and below 6, else 0.
fn gated6_or_nan(v: Value, gate: Value) -> Value {
    let passes = (gate > Value()) & (gate < Value(6.0));
    return unless_any_nan(select(Value(), v, passes), max(magnitude(v), magnitude(gate)));
}
