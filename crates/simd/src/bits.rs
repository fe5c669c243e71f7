//! WGSL's functions on the bits of integers.

use fearless_simd::Simd;

use crate::{Compare, I32, Number, U32, Vec2, Vec3, Vec4};

/// Integers and lanes of them, for WGSL's functions on bits.
pub trait Integer: Copy {
    /// Whether the highest bit is the sign.
    const SIGNED: bool;
    /// Applies `f` to the bits of every component and lane in turn.
    fn each_bits(self, f: fn(u32) -> u32) -> Self;
}

macro_rules! integers {
    ($([$($generics:tt)*] $type:ty: $signed:expr, $each:expr;)*) => {$(
        impl<$($generics)*> Integer for $type {
            const SIGNED: bool = $signed;
            #[inline(always)]
            fn each_bits(self, f: fn(u32) -> u32) -> Self {
                $each(self, f)
            }
        }
    )*};
}

integers! {
    [] u32: false, |v, f: fn(u32) -> u32| f(v);
    [] i32: true, |v, f: fn(u32) -> u32| f(v as u32) as i32;
    [S: Simd] U32<S>: false, |v: Self, f: fn(u32) -> u32| v.map(f);
    [S: Simd] I32<S>: true, |v: Self, f: fn(u32) -> u32| v.as_u32().map(f).as_i32();
    [T: Integer] Vec2<T>: T::SIGNED, |v: Self, f: fn(u32) -> u32| v.map(|c| c.each_bits(f));
    [T: Integer] Vec3<T>: T::SIGNED, |v: Self, f: fn(u32) -> u32| v.map(|c| c.each_bits(f));
    [T: Integer] Vec4<T>: T::SIGNED, |v: Self, f: fn(u32) -> u32| v.map(|c| c.each_bits(f));
}

/// The number of set bits.
#[inline(always)]
pub fn count_one_bits<T: Integer>(v: T) -> T {
    v.each_bits(u32::count_ones)
}

/// The number of leading zeros.
#[inline(always)]
pub fn count_leading_zeros<T: Integer>(v: T) -> T {
    v.each_bits(u32::leading_zeros)
}

/// The number of trailing zeros.
#[inline(always)]
pub fn count_trailing_zeros<T: Integer>(v: T) -> T {
    v.each_bits(u32::trailing_zeros)
}

/// The index of the lowest set bit, or all ones if there is none.
#[inline(always)]
pub fn first_trailing_bit<T: Integer>(v: T) -> T {
    v.each_bits(|v| if v == 0 { u32::MAX } else { v.trailing_zeros() })
}

/// The index of the highest set bit (of a negative number, the highest clear bit), or all ones if there is none.
#[inline(always)]
pub fn first_leading_bit<T: Integer>(v: T) -> T {
    fn highest(v: u32) -> u32 {
        if v == 0 { u32::MAX } else { 31 - v.leading_zeros() }
    }
    if T::SIGNED {
        return v.each_bits(|v| highest(if v >> 31 == 1 { !v } else { v }));
    }
    v.each_bits(highest)
}

/// The bits in reverse order.
#[inline(always)]
pub fn reverse_bits<T: Integer>(v: T) -> T {
    v.each_bits(u32::reverse_bits)
}

/// Bit fields of integers and of lanes of them.
pub trait BitField: Copy {
    /// `u32`, or lanes of it.
    type Amount: Copy;
    /// Extracts `count` bits from bit `offset` on, sign-extended for signed integers.
    fn extract_bits(self, offset: Self::Amount, count: Self::Amount) -> Self;
    /// Replaces `count` bits from bit `offset` on by the lowest bits of `bits`.
    fn insert_bits(self, bits: Self, offset: Self::Amount, count: Self::Amount) -> Self;
}

macro_rules! bit_field {
    ($scalar:ty, $lanes:ident) => {
        impl BitField for $scalar {
            type Amount = u32;
            #[inline(always)]
            fn extract_bits(self, offset: u32, count: u32) -> Self {
                let offset = offset.min(32);
                let count = count.min(32 - offset);
                self.checked_shl(32 - offset - count).unwrap_or(0).checked_shr(32 - count).unwrap_or(0)
            }
            #[inline(always)]
            fn insert_bits(self, bits: Self, offset: u32, count: u32) -> Self {
                let offset = offset.min(32);
                let ones = u32::MAX.checked_shr(32 - count.min(32 - offset)).unwrap_or(0);
                let mask = ones.checked_shl(offset).unwrap_or(0) as Self;
                (self & !mask) | (bits.checked_shl(offset).unwrap_or(0) & mask)
            }
        }

        impl<S: Simd> BitField for $lanes<S> {
            type Amount = U32<S>;
            #[inline(always)]
            fn extract_bits(self, offset: U32<S>, count: U32<S>) -> Self {
                let constant = |value| U32::splat(self.token(), value);
                let offset = offset.least(constant(32));
                let count = count.least(constant(32) - offset);
                let zero = $lanes::splat(self.token(), 0);
                let left = constant(32) - offset - count;
                // A shift by 32 acts as a shift by 0; it happens only for `count` 0.
                count.eq(constant(0)).select(zero, (self << left) >> (constant(32) - count))
            }
            #[inline(always)]
            fn insert_bits(self, bits: Self, offset: U32<S>, count: U32<S>) -> Self {
                let mut lanes = self;
                for lane in 0..U32::<S>::LEN {
                    let (old, new) = (self.lane(lane), bits.lane(lane));
                    let value = old.insert_bits(new, offset.lane(lane), count.lane(lane));
                    let here = U32::iota(self.token()).eq(U32::splat(self.token(), lane as u32));
                    lanes = here.select($lanes::splat(self.token(), value), lanes);
                }
                lanes
            }
        }
    };
}

bit_field!(u32, U32);
bit_field!(i32, I32);

/// `count` bits of `e` from bit `offset` on.
#[inline(always)]
pub fn extract_bits<T: BitField>(e: T, offset: T::Amount, count: T::Amount) -> T {
    e.extract_bits(offset, count)
}

/// `e` with `count` bits from bit `offset` on replaced by the lowest of `bits`.
#[inline(always)]
pub fn insert_bits<T: BitField>(e: T, bits: T, offset: T::Amount, count: T::Amount) -> T {
    e.insert_bits(bits, offset, count)
}
