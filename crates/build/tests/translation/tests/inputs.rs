//! The kernels' inputs, and the comparison of results.

use kiln_graph::Kernel;

/// The size of every buffer, in 32-bit words: whole elements of every type, of 12, 16 and 20 words too.
pub const WORDS: usize = 16_320;

const EDGES_I32: [i32; 8] = [0, -1, i32::MIN, i32::MAX, 1, 7, -3, 1000];
const EDGES_U32: [u32; 8] = [0, 1, u32::MAX, 5, 1 << 31, 33, 2, 1_000_003];
const WIDE: [f32; 8] = [0.0, -2.5, 3.0e9, -3.0e9, 1.0e20, -1.0e20, 0.999, 123_456.7];

/// The words of a binding. The first two bindings combine all pairs of edge cases.
pub fn words(kernel: &Kernel, binding: usize) -> Vec<u32> {
    let name = kernel.bindings[binding].name;
    (0..WORDS).map(|index| word(name, binding, index)).collect()
}

fn word(name: &str, binding: usize, index: usize) -> u32 {
    let edge = if name.ends_with("_b") { index / 8 % 8 } else { index % 8 };
    let random = mix(index as u32 * 31 + binding as u32);
    match name.as_bytes()[0] {
        b'i' if index < 64 => EDGES_I32[edge] as u32,
        b'u' if index < 64 => EDGES_U32[edge],
        b'i' => ((random as i32) >> (index % 29)) as u32,
        b'u' => random >> (index % 29),
        _ if name == "f_wide" => (WIDE[edge] * (1 + index / 8) as f32).to_bits(),
        _ => ((random % 128) as f32 / 16.0 - 4.0).to_bits(),
    }
}

fn mix(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    let x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

/// Whether two words of a binding are the same result.
pub fn same(kernel: &Kernel, binding: usize, a: u32, b: u32) -> bool {
    // WGSL allows inverse sines a large error, and drivers make use of it.
    let tolerance = if kernel.name.starts_with("transcendental") { 5e-4 } else { 1e-5 };
    let name = kernel.bindings[binding].name;
    // A float beyond all integers becomes the largest integer, or on a GPU the largest that is a float too.
    let largest = [[i32::MAX as u32, 2_147_483_520], [u32::MAX, 4_294_967_040]];
    let saturated =
        kernel.name.starts_with("conversions") && largest.iter().any(|of| of.contains(&a) && of.contains(&b));
    a == b || saturated || (name.starts_with(['f', 's']) && close(f32::from_bits(a), f32::from_bits(b), tolerance))
}

fn close(a: f32, b: f32, tolerance: f32) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
}

/// The bytes of a kernel's parameters: small floats.
pub fn params(kernel: &Kernel) -> Vec<u8> {
    let words = kernel.params.map_or(0, |params| params.bytes / 4);
    (0..words).flat_map(|index| (index as f32 * 0.5 - 3.0).to_le_bytes()).collect()
}
