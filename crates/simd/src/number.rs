//! Arithmetic, comparisons and conversions of scalars and lanes.

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdInt};

use crate::{Bool, F32, I32, U32};

/// Numbers. Integer arithmetic wraps around.
pub trait Number: Copy {
    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self - other`.
    fn sub(self, other: Self) -> Self;
    /// `self * other`.
    fn mul(self, other: Self) -> Self;
    /// `self / other`; for integers `self` where WGSL's division is undefined (by 0, or on overflow).
    fn div(self, other: Self) -> Self;
    /// `self % other`; for integers 0 where WGSL's remainder is undefined.
    fn rem(self, other: Self) -> Self;
    /// The smaller.
    fn least(self, other: Self) -> Self;
    /// The larger.
    fn most(self, other: Self) -> Self;
}

/// `a / b` of integers; `a` where that is undefined.
#[inline(always)]
pub fn div<T: Number>(a: T, b: T) -> T {
    a.div(b)
}

/// `a % b` of integers; 0 where that is undefined.
#[inline(always)]
pub fn rem<T: Number>(a: T, b: T) -> T {
    a.rem(b)
}

macro_rules! integer {
    ($scalar:ty) => {
        impl Number for $scalar {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self.checked_div(other).unwrap_or(self)
            }
            #[inline(always)]
            fn rem(self, other: Self) -> Self {
                self.checked_rem(other).unwrap_or(0)
            }
            #[inline(always)]
            fn least(self, other: Self) -> Self {
                Ord::min(self, other)
            }
            #[inline(always)]
            fn most(self, other: Self) -> Self {
                Ord::max(self, other)
            }
        }
    };
}

integer!(u32);
integer!(i32);

macro_rules! by_operators {
    ($([$($generics:tt)*] $number:ty, $least:expr, $most:expr;)*) => {$(
        impl<$($generics)*> Number for $number {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self / other
            }
            #[inline(always)]
            fn rem(self, other: Self) -> Self {
                self % other
            }
            #[inline(always)]
            fn least(self, other: Self) -> Self {
                $least(self, other)
            }
            #[inline(always)]
            fn most(self, other: Self) -> Self {
                $most(self, other)
            }
        }
    )*};
}

by_operators! {
    [] f32, |a, b| if b < a { b } else { a }, |a, b| if a < b { b } else { a };
    [S: Simd] F32<S>, |a: Self, b: Self| b.lt(a).select(b, a), |a: Self, b: Self| a.lt(b).select(b, a);
    [S: Simd] U32<S>, |a: Self, b: Self| U32(a.0.min(b.0)), |a: Self, b: Self| U32(a.0.max(b.0));
    [S: Simd] I32<S>, |a: Self, b: Self| I32(a.0.min(b.0)), |a: Self, b: Self| I32(a.0.max(b.0));
}

/// Values that can be compared.
pub trait Compare: Copy {
    /// `bool`, or one per lane.
    type Mask;
    /// `self == other`.
    fn eq(self, other: Self) -> Self::Mask;
    /// `self != other`.
    fn ne(self, other: Self) -> Self::Mask;
    /// `self < other`.
    fn lt(self, other: Self) -> Self::Mask;
    /// `self <= other`.
    fn le(self, other: Self) -> Self::Mask;
    /// `self > other`.
    fn gt(self, other: Self) -> Self::Mask;
    /// `self >= other`.
    fn ge(self, other: Self) -> Self::Mask;
}

macro_rules! compare_scalar {
    ($($scalar:ty)*) => {$(
        impl Compare for $scalar {
            type Mask = bool;
            #[inline(always)]
            fn eq(self, other: Self) -> bool {
                self == other
            }
            #[inline(always)]
            fn ne(self, other: Self) -> bool {
                self != other
            }
            #[inline(always)]
            fn lt(self, other: Self) -> bool {
                self < other
            }
            #[inline(always)]
            fn le(self, other: Self) -> bool {
                self <= other
            }
            #[inline(always)]
            fn gt(self, other: Self) -> bool {
                self > other
            }
            #[inline(always)]
            fn ge(self, other: Self) -> bool {
                self >= other
            }
        }
    )*};
}

compare_scalar!(f32 u32 i32 bool);

macro_rules! compare_lanes {
    ($($lanes:ident)*) => {$(
        impl<S: Simd> Compare for $lanes<S> {
            type Mask = Bool<S>;
            #[inline(always)]
            fn eq(self, other: Self) -> Bool<S> {
                Bool(self.0.simd_eq(other.0))
            }
            #[inline(always)]
            fn ne(self, other: Self) -> Bool<S> {
                !Compare::eq(self, other)
            }
            #[inline(always)]
            fn lt(self, other: Self) -> Bool<S> {
                Bool(self.0.simd_lt(other.0))
            }
            #[inline(always)]
            fn le(self, other: Self) -> Bool<S> {
                Bool(self.0.simd_le(other.0))
            }
            #[inline(always)]
            fn gt(self, other: Self) -> Bool<S> {
                Bool(self.0.simd_gt(other.0))
            }
            #[inline(always)]
            fn ge(self, other: Self) -> Bool<S> {
                Bool(self.0.simd_ge(other.0))
            }
        }
    )*};
}

compare_lanes!(F32 U32 I32);

impl<S: Simd> Compare for Bool<S> {
    type Mask = Bool<S>;
    #[inline(always)]
    fn eq(self, other: Self) -> Self {
        !(self ^ other)
    }
    #[inline(always)]
    fn ne(self, other: Self) -> Self {
        self ^ other
    }
    #[inline(always)]
    fn lt(self, other: Self) -> Self {
        !self & other
    }
    #[inline(always)]
    fn le(self, other: Self) -> Self {
        !self | other
    }
    #[inline(always)]
    fn gt(self, other: Self) -> Self {
        self & !other
    }
    #[inline(always)]
    fn ge(self, other: Self) -> Self {
        self | !other
    }
}

/// WGSL's conversions between scalar types, of scalars or of lanes.
pub trait Convert: Copy {
    /// `f32`.
    type F32;
    /// `u32`.
    type U32;
    /// `i32`.
    type I32;
    /// `bool`.
    type Bool;
    /// `f32(self)`.
    fn to_f32(self) -> Self::F32;
    /// `u32(self)`; a float is truncated and saturates.
    fn to_u32(self) -> Self::U32;
    /// `i32(self)`; a float is truncated and saturates.
    fn to_i32(self) -> Self::I32;
    /// `bool(self)`.
    fn to_bool(self) -> Self::Bool;
}

macro_rules! convert_scalar {
    ($($scalar:ident: $f32:expr, $u32:expr, $i32:expr, $bool:expr;)*) => {$(
        impl Convert for $scalar {
            type F32 = f32;
            type U32 = u32;
            type I32 = i32;
            type Bool = bool;
            #[inline(always)]
            fn to_f32(self) -> f32 {
                $f32(self)
            }
            #[inline(always)]
            fn to_u32(self) -> u32 {
                $u32(self)
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                $i32(self)
            }
            #[inline(always)]
            fn to_bool(self) -> bool {
                $bool(self)
            }
        }
    )*};
}

convert_scalar! {
    f32: |v| v, |v| v as u32, |v| v as i32, |v| v != 0.0;
    u32: |v| v as f32, |v| v, |v| v as i32, |v| v != 0;
    i32: |v| v as f32, |v| v as u32, |v| v, |v| v != 0;
    bool: |v| f32::from(u8::from(v)), u32::from, i32::from, |v| v;
}

macro_rules! convert_lanes {
    ($($lanes:ident: $f32:expr, $u32:expr, $i32:expr, $bool:expr;)*) => {$(
        impl<S: Simd> Convert for $lanes<S> {
            type F32 = F32<S>;
            type U32 = U32<S>;
            type I32 = I32<S>;
            type Bool = Bool<S>;
            #[inline(always)]
            fn to_f32(self) -> F32<S> {
                $f32(self)
            }
            #[inline(always)]
            fn to_u32(self) -> U32<S> {
                $u32(self)
            }
            #[inline(always)]
            fn to_i32(self) -> I32<S> {
                $i32(self)
            }
            #[inline(always)]
            fn to_bool(self) -> Bool<S> {
                $bool(self)
            }
        }
    )*};
}

convert_lanes! {
    F32: |v| v, |v: Self| U32(v.0.to_int_precise()), |v: Self| I32(v.0.to_int_precise()),
        |v: Self| Compare::ne(v, F32::splat(v.token(), 0.0));
    U32: |v: Self| F32(v.0.to_float()), |v| v, U32::as_i32, |v: Self| Compare::ne(v, U32::splat(v.token(), 0));
    I32: |v: Self| F32(v.0.to_float()), I32::as_u32, |v| v, |v: Self| Compare::ne(v, I32::splat(v.token(), 0));
    Bool: |v: Self| v.select(F32::splat(v.token(), 1.0), F32::splat(v.token(), 0.0)),
        |v: Self| v.select(U32::splat(v.token(), 1), U32::splat(v.token(), 0)),
        |v: Self| v.select(I32::splat(v.token(), 1), I32::splat(v.token(), 0)), |v| v;
}

/// WGSL's `bitcast` between 32-bit types, of scalars or of lanes.
pub trait Bits: Convert {
    /// `bitcast<f32>(self)`.
    fn bits_f32(self) -> Self::F32;
    /// `bitcast<u32>(self)`.
    fn bits_u32(self) -> Self::U32;
    /// `bitcast<i32>(self)`.
    fn bits_i32(self) -> Self::I32;
}

macro_rules! bits {
    ($([$($generics:tt)*] $type:ty: $f32:expr, $u32:expr, $i32:expr;)*) => {$(
        impl<$($generics)*> Bits for $type {
            #[inline(always)]
            fn bits_f32(self) -> Self::F32 {
                $f32(self)
            }
            #[inline(always)]
            fn bits_u32(self) -> Self::U32 {
                $u32(self)
            }
            #[inline(always)]
            fn bits_i32(self) -> Self::I32 {
                $i32(self)
            }
        }
    )*};
}

bits! {
    [] f32: |v| v, f32::to_bits, |v: f32| v.to_bits() as i32;
    [] u32: f32::from_bits, |v| v, |v| v as i32;
    [] i32: |v| f32::from_bits(v as u32), |v| v as u32, |v| v;
    [S: Simd] F32<S>: |v| v, F32::as_u32, |v: Self| v.as_u32().as_i32();
    [S: Simd] U32<S>: U32::as_f32, |v| v, U32::as_i32;
    [S: Simd] I32<S>: |v: Self| v.as_u32().as_f32(), I32::as_u32, |v| v;
}
