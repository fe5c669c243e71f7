// 16-bit floats, two to a word, by integer operations: every device rounds alike, whether or not it computes in f16.

// The bits of a value rounded to f16: to nearest, ties to even, to infinity from 65,520 on.
fn half_bits(v: f32) -> u32 {
    let bits = bitcast<u32>(v);
    let magnitude = bits & 0x7fffffffu;
    let normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u;
    // Below 2^-14: a multiple of 2^-24, and 0 from a shift by 25 on.
    let significand = (magnitude & 0x7fffffu) | 0x800000u;
    let shift = min(126u - min(magnitude >> 23u, 112u), 25u);
    let subnormal = (significand + (1u << (shift - 1u)) - 1u + ((significand >> shift) & 1u)) >> shift;
    let finite = select(normal, subnormal, magnitude < 0x38800000u);
    let unless_nan = select(finite, 0x7c00u, magnitude >= 0x477ff000u);
    return ((bits >> 16u) & 0x8000u) | select(unless_nan, 0x7e00u, magnitude > 0x7f800000u);
}

// The value of the lower 16 bits.
fn half_value(half: u32) -> f32 {
    let magnitude = half & 0x7fffu;
    let subnormal = bitcast<u32>(f32(magnitude) * 0x1p-24f);
    let normal = (magnitude << 13u) + 0x38000000u;
    let finite = select(normal, subnormal, magnitude < 0x400u);
    let value = select(finite, (magnitude << 13u) | 0x7f800000u, magnitude >= 0x7c00u);
    return bitcast<f32>(((half & 0x8000u) << 16u) | value);
}
