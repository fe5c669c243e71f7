//! `f(x, y) = 1/4 sum C(u) C(v) F(u, v) cos((2x + 1) u pi / 16) cos((2y + 1) v pi / 16) + 128`: the inverse cosine
//! transform of a block.
//!
//! After Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT algorithms with 11 multiplications"), with the
//! order of operations and the rounding of libjpeg's `jidctint.c` for identical values: 13-bit factors, and 2 more bits
//! between the passes.

use std::array::from_fn;
use std::num::Wrapping;

type Word = Wrapping<i32>;

const CONST_BITS: usize = 13;
const PASS1_BITS: usize = 2;

/// A factor in 13 bits.
const fn fix(value: f64) -> Word {
    Wrapping((value * (1 << CONST_BITS) as f64 + 0.5) as i32)
}

/// The transform of 8 values, times `2^13 sqrt(8)`.
fn transform(x: [Word; 8]) -> [Word; 8] {
    let z1 = (x[2] + x[6]) * fix(0.541_196_100);
    let even2 = z1 - x[6] * fix(1.847_759_065);
    let even3 = z1 + x[2] * fix(0.765_366_865);
    let (even0, even1) = ((x[0] + x[4]) << CONST_BITS, (x[0] - x[4]) << CONST_BITS);
    let even = [even0 + even3, even1 + even2, even1 - even2, even0 - even3];

    let z5 = (x[7] + x[3] + x[5] + x[1]) * fix(1.175_875_602);
    let z1 = -(x[7] + x[1]) * fix(0.899_976_223);
    let z2 = -(x[5] + x[3]) * fix(2.562_915_447);
    let z3 = z5 - (x[7] + x[3]) * fix(1.961_570_560);
    let z4 = z5 - (x[5] + x[1]) * fix(0.390_180_644);
    let odd = [
        x[1] * fix(1.501_321_110) + z1 + z4,
        x[3] * fix(3.072_711_026) + z2 + z3,
        x[5] * fix(2.053_119_869) + z2 + z4,
        x[7] * fix(0.298_631_336) + z1 + z3,
    ];
    from_fn(|i| if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] })
}

/// Divides by a power of 2, rounding to nearest.
fn descale(value: Word, bits: usize) -> Word {
    (value + (Wrapping(1) << (bits - 1))) >> bits
}

/// Writes the samples of a block to 8 rows of 8 in `place`.
pub(super) fn idct(coefficients: &[i16; 64], quantization: &[u16; 64], place: &mut [u8], stride: usize) {
    // In 16 bits, as in libjpeg-turbo's SIMD code.
    let factor = |i: usize| Wrapping(i32::from(coefficients[i].wrapping_mul(quantization[i] as i16)));
    if coefficients[1..].iter().all(|&value| value == 0) {
        let value = sample(descale(factor(0) << PASS1_BITS, PASS1_BITS + 3));
        place.chunks_mut(stride).take(8).for_each(|row| row.iter_mut().take(8).for_each(|out| *out = value));
        return;
    }
    let mut columns = [[Wrapping(0); 8]; 8];
    for (x, column) in columns.iter_mut().enumerate() {
        *column = if (1..8).all(|y| coefficients[8 * y + x] == 0) {
            [factor(x) << PASS1_BITS; 8]
        } else {
            transform(from_fn(|y| factor(8 * y + x))).map(|value| descale(value, CONST_BITS - PASS1_BITS))
        };
    }
    for (y, row) in place.chunks_mut(stride).take(8).enumerate() {
        let values = transform(from_fn(|x| columns[x][y]));
        for (out, value) in row.iter_mut().zip(values) {
            *out = sample(descale(value, CONST_BITS + PASS1_BITS + 3));
        }
    }
}

fn sample(value: Word) -> u8 {
    (value + Wrapping(128)).0.clamp(0, 255) as u8
}
