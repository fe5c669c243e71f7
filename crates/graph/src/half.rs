//! 16-bit floats (IEEE 754 binary16) on the host: 11 significant bits, at most 65,504, at least 2^-24.

/// The smallest magnitude that rounds to infinity.
const OVERFLOW: f64 = 65_520.0;
/// The smallest normal number, 2^-14.
const NORMAL: f64 = 1.0 / 16_384.0;
/// The distance between subnormal numbers, 2^-24.
const SUBNORMAL: f64 = 1.0 / 16_777_216.0;
const INFINITY: u16 = 0x7c00;
const NAN: u16 = 0x7e00;
const SIGN: u16 = 0x8000;

/// The bits of a value rounded to a 16-bit float: to nearest, ties to even, to infinity from 65,520 on.
pub fn f16_bits(value: f64) -> u16 {
    let magnitude = value.abs();
    let bits = if magnitude.is_nan() {
        NAN
    } else if magnitude >= OVERFLOW {
        INFINITY
    } else if magnitude < NORMAL {
        (magnitude / SUBNORMAL).round_ties_even() as u16
    } else {
        let exponent = (magnitude.to_bits() >> 52) as i32 - 1023;
        // From 1024 to 2048, the next exponent's first.
        let significand = (magnitude / f64::from(exponent).exp2() * 1024.0).round_ties_even();
        ((exponent + 14) as u16) * 1024 + significand as u16
    };
    if value.is_sign_negative() { bits | SIGN } else { bits }
}

/// The value of the bits of a 16-bit float.
pub fn f16_value(bits: u16) -> f64 {
    let (exponent, fraction) = (bits >> 10 & 31, f64::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * SUBNORMAL,
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * (f64::from(exponent) - 25.0).exp2(),
    };
    if bits & SIGN == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_16_bit_float_keeps_its_bits() {
        for bits in 0..=u16::MAX {
            let value = f16_value(bits);
            match value.is_nan() {
                true => assert!(f16_value(f16_bits(value)).is_nan(), "{bits:#06x}"),
                false => assert_eq!(f16_bits(value), bits, "{value}"),
            }
        }
    }

    #[test]
    fn values_between_two_16_bit_floats_round_to_the_nearest_or_to_the_even_one() {
        for bits in 0..INFINITY {
            let (low, high) = (f16_value(bits), if bits + 1 == INFINITY { 65_536.0 } else { f16_value(bits + 1) });
            let middle = f64::midpoint(low, high);
            assert_eq!(f16_bits(middle), bits + bits % 2, "{middle}");
            assert_eq!(f16_bits(middle.next_down()), bits, "below {middle}");
            assert_eq!(f16_bits(-middle.next_up()), SIGN | (bits + 1), "above {middle}");
        }
    }

    #[test]
    fn the_limits_are_those_of_ieee_754() {
        assert_eq!(f16_bits(1.0), 0x3c00);
        assert_eq!([65_504.0, 65_519.9, 65_520.0, 1e300].map(f16_bits), [0x7bff, 0x7bff, INFINITY, INFINITY]);
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY].map(f16_bits), [INFINITY, SIGN | INFINITY]);
        assert_eq!([SUBNORMAL, SUBNORMAL / 2.0, -0.0].map(f16_bits), [1, 0, SIGN]);
        assert_eq!(f16_value(0x3555), 1365.0 / 4096.0);
    }
}
