//! Random draws as the kernels make them: `shaders/lib/random.wgsl` in Rust, bit for bit.

/// Four random words, draw number `counter` of stream `stream`: pcg4d of M. Jarzynski and M. Olano, "Hash Functions for
/// GPU Rendering", JCGT 9 (3), 2020.
pub(crate) fn random4(counter: u32, stream: u32, key: [u32; 2]) -> [u32; 4] {
    let seeded = [counter, stream, key[0], key[1]].map(|word| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    mix4(mix4(seeded).map(|word| word ^ (word >> 16)))
}

fn mix4([x, y, z, w]: [u32; 4]) -> [u32; 4] {
    let x = x.wrapping_add(y.wrapping_mul(w));
    let y = y.wrapping_add(z.wrapping_mul(x));
    let z = z.wrapping_add(x.wrapping_mul(y));
    let w = w.wrapping_add(y.wrapping_mul(z));
    [x, y, z, w]
}

/// Uniform in `[0, 1)`: one of 2^24 values.
pub(crate) fn uniform_of(word: u32) -> f64 {
    f64::from(word >> 8) / f64::from(1u32 << 24)
}
