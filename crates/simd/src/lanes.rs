//! Vectors with one lane per invocation.

use core::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};

use fearless_simd::{Select, Simd, SimdBase, SimdFloat, SimdInt, SimdMask, SimdNarrow, SimdWiden};

use crate::{Blend, Compare, Number};

/// `f32` of every lane.
#[derive(Clone, Copy, Debug)]
pub struct F32<S: Simd>(pub S::f32s);

/// `u32` of every lane.
#[derive(Clone, Copy, Debug)]
pub struct U32<S: Simd>(pub S::u32s);

/// `i32` of every lane.
#[derive(Clone, Copy, Debug)]
pub struct I32<S: Simd>(pub S::i32s);

/// `bool` of every lane; also the mask of the lanes that are active.
#[derive(Clone, Copy)]
pub struct Bool<S: Simd>(pub S::mask32s);

impl<S: Simd> core::fmt::Debug for Bool<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Bool({:0lanes$b})", self.bits(), lanes = U32::<S>::LEN)
    }
}

/// Lane `i` is `base + min(i, span)`, the form of `min(first + lane, last)`. Addresses of this form are contiguous up
/// to `span`. The first `beyond` lanes, in which `first + lane` has not wrapped to 0 yet, are `base + span`.
#[derive(Clone, Copy, Debug)]
pub struct Clamped {
    /// The value of lane 0.
    pub base: u32,
    /// The first lane of the constant tail.
    pub span: u32,
    /// The number of lanes before `first + lane` wraps to 0; 0 if it does not wrap.
    pub beyond: u32,
}

macro_rules! operator {
    ($lanes:ident: $($trait:ident $method:ident),*) => {$(
        impl<S: Simd> $trait for $lanes<S> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                $lanes(self.0.$method(other.0))
            }
        }
    )*};
}

operator!(F32: Add add, Sub sub, Mul mul, Div div);
operator!(U32: Add add, Sub sub, Mul mul, BitAnd bitand, BitOr bitor, BitXor bitxor);
operator!(I32: Add add, Sub sub, Mul mul, BitAnd bitand, BitOr bitor, BitXor bitxor);
operator!(Bool: BitAnd bitand, BitOr bitor, BitXor bitxor);

macro_rules! lane_wise {
    ($lanes:ident $vector:ident $scalar:ident) => {
        impl<S: Simd> $lanes<S> {
            /// The number of lanes.
            pub const LEN: usize = S::$vector::LEN;

            /// The same value in every lane.
            #[inline(always)]
            pub fn splat(simd: S, value: $scalar) -> Self {
                $lanes(S::$vector::splat(simd, value))
            }

            /// Lane `i` is `value(i)`.
            #[inline(always)]
            pub fn from_fn(simd: S, value: impl FnMut(usize) -> $scalar) -> Self {
                $lanes(S::$vector::from_fn(simd, value))
            }

            /// The value of one lane.
            #[inline(always)]
            pub fn lane(self, lane: usize) -> $scalar {
                self.0.as_slice()[lane]
            }

            /// Applies `f` to every lane in turn.
            #[inline(always)]
            pub fn map(self, mut f: impl FnMut($scalar) -> $scalar) -> Self {
                let values = self.0;
                Self::from_fn(self.token(), |lane| f(values.as_slice()[lane]))
            }

            /// Applies `f` to every pair of lanes in turn.
            #[inline(always)]
            pub fn zip(self, other: Self, mut f: impl FnMut($scalar, $scalar) -> $scalar) -> Self {
                let (a, b) = (self.0, other.0);
                Self::from_fn(self.token(), |lane| f(a.as_slice()[lane], b.as_slice()[lane]))
            }

            /// The instruction set.
            #[inline(always)]
            pub fn token(self) -> S {
                fearless_simd::ExtractToken::token(&self.0)
            }
        }

        impl<S: Simd> Blend<Bool<S>> for $lanes<S> {
            #[inline(always)]
            fn blend(mask: Bool<S>, accept: Self, reject: Self) -> Self {
                $lanes(mask.0.select(accept.0, reject.0))
            }
        }
    };
}

lane_wise!(F32 f32s f32);
lane_wise!(U32 u32s u32);
lane_wise!(I32 i32s i32);

impl<S: Simd> Neg for F32<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        F32(-self.0)
    }
}

impl<S: Simd> Neg for I32<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        I32(-self.0)
    }
}

impl<S: Simd> Not for U32<S> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        U32(!self.0)
    }
}

impl<S: Simd> Not for I32<S> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        I32(!self.0)
    }
}

impl<S: Simd> Not for Bool<S> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Bool(!self.0)
    }
}

impl<S: Simd> Rem for F32<S> {
    type Output = Self;
    /// `self - other * trunc(self / other)`.
    #[inline(always)]
    fn rem(self, other: Self) -> Self {
        self - other * F32((self / other).0.trunc())
    }
}

macro_rules! shift {
    ($lanes:ident, $cast:expr) => {
        impl<S: Simd> Shl<U32<S>> for $lanes<S> {
            type Output = Self;
            /// Shifts by the low five bits of `by`.
            #[inline(always)]
            fn shl(self, by: U32<S>) -> Self {
                $lanes(self.0 << $cast(by & U32::splat(by.token(), 31)).0)
            }
        }

        impl<S: Simd> Shr<U32<S>> for $lanes<S> {
            type Output = Self;
            /// Shifts by the low five bits of `by`.
            #[inline(always)]
            fn shr(self, by: U32<S>) -> Self {
                $lanes(self.0 >> $cast(by & U32::splat(by.token(), 31)).0)
            }
        }
    };
}

shift!(U32, core::convert::identity::<U32<S>>);
shift!(I32, U32::<S>::as_i32);

impl<S: Simd> Div for U32<S> {
    type Output = Self;
    /// The quotient, or `self` where `other` is 0. Computed in `f64`, whose vectorised quotient of two `u32` truncates
    /// to the exact integer.
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        let (a_low, a_high) = self.0.widen();
        let (b_low, b_high) = other.0.widen();
        let low: S::f64s = a_low.to_float::<S::f64s>() / b_low.to_float::<S::f64s>();
        let high: S::f64s = a_high.to_float::<S::f64s>() / b_high.to_float::<S::f64s>();
        let quotient = low.to_int::<S::u64s>().narrow(high.to_int::<S::u64s>());
        let zero = other.eq(U32::splat(other.token(), 0));
        zero.select(self, U32(quotient))
    }
}

impl<S: Simd> Rem for U32<S> {
    type Output = Self;
    /// The remainder, or 0 where `other` is 0.
    #[inline(always)]
    fn rem(self, other: Self) -> Self {
        let rest = self - self / other * other;
        let zero = U32::splat(other.token(), 0);
        other.eq(zero).select(zero, rest)
    }
}

impl<S: Simd> Div for I32<S> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, Number::div)
    }
}

impl<S: Simd> Rem for I32<S> {
    type Output = Self;
    #[inline(always)]
    fn rem(self, other: Self) -> Self {
        self.zip(other, Number::rem)
    }
}

impl<S: Simd> U32<S> {
    /// The lane indices 0, 1, 2, …
    #[inline(always)]
    pub fn iota(simd: S) -> Self {
        U32::from_fn(simd, |lane| lane as u32)
    }

    /// The same bits as `i32`.
    #[inline(always)]
    pub fn as_i32(self) -> I32<S> {
        I32(fearless_simd::Bytes::bitcast(self.0))
    }

    /// The same bits as `f32`.
    #[inline(always)]
    pub fn as_f32(self) -> F32<S> {
        F32(fearless_simd::Bytes::bitcast(self.0))
    }
}

impl<S: Simd> I32<S> {
    /// The same bits as `u32`.
    #[inline(always)]
    pub fn as_u32(self) -> U32<S> {
        U32(fearless_simd::Bytes::bitcast(self.0))
    }
}

impl<S: Simd> F32<S> {
    /// The same bits as `u32`.
    #[inline(always)]
    pub fn as_u32(self) -> U32<S> {
        U32(fearless_simd::Bytes::bitcast(self.0))
    }
}

impl<S: Simd> Bool<S> {
    /// The same value in every lane.
    #[inline(always)]
    pub fn splat(simd: S, value: bool) -> Self {
        Bool(S::mask32s::splat(simd, value))
    }

    /// True in the first `lanes` lanes.
    #[inline(always)]
    pub fn first(simd: S, lanes: u32) -> Self {
        U32::iota(simd).lt(U32::splat(simd, lanes))
    }

    /// Whether any lane is true.
    #[inline(always)]
    pub fn any(self) -> bool {
        self.0.any_true()
    }

    /// Whether every lane is true.
    #[inline(always)]
    pub fn all(self) -> bool {
        self.0.all_true()
    }

    /// The lanes as a bit mask, lane 0 lowest.
    #[inline(always)]
    pub fn bits(self) -> u64 {
        self.0.to_bitmask()
    }

    /// `accept` where true, else `reject`.
    #[inline(always)]
    pub fn select<T: Blend<Self>>(self, accept: T, reject: T) -> T {
        T::blend(self, accept, reject)
    }

    /// The instruction set.
    #[inline(always)]
    pub fn token(self) -> S {
        fearless_simd::ExtractToken::token(&self.0)
    }
}

impl<S: Simd> Blend<Bool<S>> for Bool<S> {
    #[inline(always)]
    fn blend(mask: Bool<S>, accept: Self, reject: Self) -> Self {
        Bool(mask.0.select(accept.0, reject.0))
    }
}

/// `base + lane` for every lane.
#[inline(always)]
pub fn linear<S: Simd>(simd: S, base: u32) -> U32<S> {
    U32::iota(simd) + U32::splat(simd, base)
}

/// The largest number of lanes of a vector.
const MOST_LANES: u32 = 64;

impl Clamped {
    /// `min(first + lane, last)`.
    #[inline(always)]
    pub fn new(first: u32, last: u32) -> Clamped {
        // `first` may be a little below 0.
        let beyond = first.wrapping_neg();
        if beyond > 0 && beyond < MOST_LANES {
            let (span, beyond) = if last < first { (last.wrapping_sub(first), beyond) } else { (u32::MAX, 0) };
            return Clamped { base: first, span, beyond };
        }
        let base = first.min(last);
        Clamped { base, span: last - base, beyond: 0 }
    }

    /// The value of every lane.
    #[inline(always)]
    pub fn lanes<S: Simd>(self, simd: S) -> U32<S> {
        let (lane, span) = (U32::iota(simd), U32::<S>::splat(simd, self.span));
        let clamped = lane.lt(U32::splat(simd, self.beyond)).select(span, U32(lane.0.min(span.0)));
        clamped + U32::splat(simd, self.base)
    }
}

impl Add<u32> for Clamped {
    type Output = Clamped;
    #[inline(always)]
    fn add(self, other: u32) -> Clamped {
        Clamped { base: self.base.wrapping_add(other), ..self }
    }
}

impl Sub<u32> for Clamped {
    type Output = Clamped;
    #[inline(always)]
    fn sub(self, other: u32) -> Clamped {
        Clamped { base: self.base.wrapping_sub(other), ..self }
    }
}
