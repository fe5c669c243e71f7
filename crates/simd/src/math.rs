//! WGSL's functions, over scalars and lanes. Exponentials and logarithms are vectorised; functions that are rare in
//! kernels call the standard library per lane.

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdInt};

use crate::{Compare, Convert, F32, I32, Number, U32, Vec2, Vec3, Vec4};

/// Floats: `f32`, lanes of it, and vectors of either.
pub trait Float: Copy {
    /// The form of one component.
    type Component: Copy;

    /// A constant in the form of `self`.
    fn constant(self, value: f32) -> Self;
    /// `|self|`.
    fn abs(self) -> Self;
    /// Rounds up.
    fn ceil(self) -> Self;
    /// Rounds down.
    fn floor(self) -> Self;
    /// Rounds to the nearest integer, ties to even.
    fn round(self) -> Self;
    /// Rounds towards zero.
    fn trunc(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// `e^self`.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn log(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// -1, 0 or 1 as `self` is below, at or above 0.
    fn sign(self) -> Self;
    /// `self * b + c`, rounded once if the processor has fused multiply-add.
    fn fma(self, b: Self, c: Self) -> Self;
    /// Applies `f` to every component and lane in turn.
    fn each(self, f: fn(f32) -> f32) -> Self;
    /// Applies `f` to every pair of components and lanes in turn.
    fn each2(self, other: Self, f: fn(f32, f32) -> f32) -> Self;
}

impl Float for f32 {
    type Component = f32;
    #[inline(always)]
    fn constant(self, value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn abs(self) -> f32 {
        f32::abs(self)
    }
    #[inline(always)]
    fn ceil(self) -> f32 {
        f32::ceil(self)
    }
    #[inline(always)]
    fn floor(self) -> f32 {
        f32::floor(self)
    }
    #[inline(always)]
    fn round(self) -> f32 {
        self.round_ties_even()
    }
    #[inline(always)]
    fn trunc(self) -> f32 {
        f32::trunc(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn exp(self) -> f32 {
        f32::exp(self)
    }
    #[inline(always)]
    fn log(self) -> f32 {
        self.ln()
    }
    #[inline(always)]
    fn tanh(self) -> f32 {
        f32::tanh(self)
    }
    #[inline(always)]
    fn sign(self) -> f32 {
        f32::from(i8::from(self > 0.0) - i8::from(self < 0.0))
    }
    #[inline(always)]
    fn fma(self, b: f32, c: f32) -> f32 {
        // Not `mul_add`, which is a slow library call without the instruction.
        self * b + c
    }
    #[inline(always)]
    fn each(self, f: fn(f32) -> f32) -> f32 {
        f(self)
    }
    #[inline(always)]
    fn each2(self, other: f32, f: fn(f32, f32) -> f32) -> f32 {
        f(self, other)
    }
}

impl<S: Simd> Float for F32<S> {
    type Component = F32<S>;
    #[inline(always)]
    fn constant(self, value: f32) -> Self {
        F32::splat(self.token(), value)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        F32(self.0.abs())
    }
    #[inline(always)]
    fn ceil(self) -> Self {
        F32(self.0.ceil())
    }
    #[inline(always)]
    fn floor(self) -> Self {
        F32(self.0.floor())
    }
    #[inline(always)]
    fn round(self) -> Self {
        F32(self.0.round_ties_even())
    }
    #[inline(always)]
    fn trunc(self) -> Self {
        F32(self.0.trunc())
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        F32(self.0.sqrt())
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp_lanes(self)
    }
    #[inline(always)]
    fn log(self) -> Self {
        log_lanes(self)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        tanh_lanes(self)
    }
    #[inline(always)]
    fn sign(self) -> Self {
        let (zero, one) = (self.constant(0.0), self.constant(1.0));
        self.gt(zero).select(one, self.lt(zero).select(-one, zero))
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        F32(self.0.mul_add(b.0, c.0))
    }
    #[inline(always)]
    fn each(self, f: fn(f32) -> f32) -> Self {
        self.map(f)
    }
    #[inline(always)]
    fn each2(self, other: Self, f: fn(f32, f32) -> f32) -> Self {
        self.zip(other, f)
    }
}

macro_rules! vector {
    ($vector:ident: $($method:ident)*) => {
        impl<T: Float> Float for $vector<T> {
            type Component = T;
            #[inline(always)]
            fn constant(self, value: f32) -> Self {
                self.map(|a| a.constant(value))
            }
            $(#[inline(always)]
            fn $method(self) -> Self {
                self.map(T::$method)
            })*
            #[inline(always)]
            fn fma(self, b: Self, c: Self) -> Self {
                self.zip(b, |a, b| (a, b)).zip(c, |(a, b), c| a.fma(b, c))
            }
            #[inline(always)]
            fn each(self, f: fn(f32) -> f32) -> Self {
                self.map(|a| a.each(f))
            }
            #[inline(always)]
            fn each2(self, other: Self, f: fn(f32, f32) -> f32) -> Self {
                self.zip(other, |a, b| a.each2(b, f))
            }
        }
    };
}

vector!(Vec2: abs ceil floor round trunc sqrt exp log tanh sign);
vector!(Vec3: abs ceil floor round trunc sqrt exp log tanh sign);
vector!(Vec4: abs ceil floor round trunc sqrt exp log tanh sign);

/// `e^x = 2^n e^r` with `n` the integer nearest to `x / ln 2` and `|r| <= ln 2 / 2`, where seven terms of the series
/// leave a relative error below 6e-9.
#[inline(always)]
fn exp_lanes<S: Simd>(x: F32<S>) -> F32<S> {
    let constant = |value| x.constant(value);
    let bounded = x.most(constant(-104.0)).least(constant(89.0));
    let n = (bounded * constant(core::f32::consts::LOG2_E)).round();
    // ln 2 in two parts: n times the first, which has 9 bits, is exact.
    let r = n.fma(constant(-0.693_359_4), bounded);
    let r = n.fma(constant(2.121_944_4e-4), r);
    let mut sum = constant(1.0 / 5040.0);
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        sum = sum.fma(r, constant(1.0 / factorial));
    }
    // 2^n in two factors, because neither 2^128 nor 2^-150 is a float.
    let n: I32<S> = I32(n.0.to_int());
    let half = n >> U32::splat(x.token(), 1);
    let result = sum * power_of_two(half) * power_of_two(n - half);
    x.ne(x).select(x, result)
}

/// `2^n` for `-126 <= n <= 127`.
#[inline(always)]
fn power_of_two<S: Simd>(n: I32<S>) -> F32<S> {
    let simd = n.token();
    let biased = (n + I32::splat(simd, 127)).as_u32();
    (biased << U32::splat(simd, 23)).as_f32()
}

/// `log x = e ln 2 + log m` with `m` in `[sqrt(1/2), sqrt(2))`, and `log m = 2 artanh s` with `s = (m - 1) / (m + 1)`,
/// where five terms leave a relative error below 4e-9.
#[inline(always)]
fn log_lanes<S: Simd>(x: F32<S>) -> F32<S> {
    let simd = x.token();
    let constant = |value| x.constant(value);
    let small = x.lt(constant(f32::MIN_POSITIVE));
    let scaled = small.select(x * constant(8_388_608.0), x);
    let bits = scaled.as_u32();
    // The exponent for a mantissa in [sqrt(1/2), sqrt(2)).
    let shifted = bits - U32::splat(simd, 0x3f35_04f3);
    let exponent = shifted.as_i32() >> U32::splat(simd, 23);
    let mantissa = (bits - (exponent.as_u32() << U32::splat(simd, 23))).as_f32();
    let e = F32(exponent.0.to_float::<S::f32s>()) - small.select(constant(23.0), constant(0.0));
    let s = (mantissa - constant(1.0)) / (mantissa + constant(1.0));
    let square = s * s;
    let mut sum = constant(2.0 / 9.0);
    for divisor in [7.0, 5.0, 3.0] {
        sum = sum.fma(square, constant(2.0 / divisor));
    }
    let log_mantissa = (sum * square).fma(s, s + s);
    let result = e.fma(constant(0.693_359_4), e.fma(constant(-2.121_944_4e-4), log_mantissa));
    let zero = constant(0.0);
    let result = x.eq(zero).select(constant(f32::NEG_INFINITY), result);
    let result = x.eq(constant(f32::INFINITY)).select(x, result);
    x.ge(zero).select(result, constant(f32::NAN))
}

/// `tanh |x| = 1 - 2 / (e^{2|x|} + 1)`; below 0.35, where that would cancel, the series.
#[inline(always)]
fn tanh_lanes<S: Simd>(x: F32<S>) -> F32<S> {
    let constant = |value| x.constant(value);
    let size = x.abs();
    let large = constant(1.0) - constant(2.0) / (exp_lanes(size + size) + constant(1.0));
    let large = F32(large.0.copysign(x.0));
    let square = x * x;
    let mut sum = constant(-1382.0 / 155_925.0);
    for term in [62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0] {
        sum = sum.fma(square, constant(term));
    }
    let series = (sum * square).fma(x, x);
    size.lt(constant(0.35)).select(series, large)
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<T: Float>(x: T) -> T {
            Float::$name(x)
        }
    )*};
}

functions! {
    /// The smallest integer not below `x`.
    ceil;
    /// The largest integer not above `x`.
    floor;
    /// The integer nearest to `x`, ties to even.
    round;
    /// The integer part of `x`.
    trunc;
    /// The square root of `x`.
    sqrt;
    /// `e^x`.
    exp;
    /// The natural logarithm of `x`.
    log;
    /// The hyperbolic tangent of `x`.
    tanh;
}

macro_rules! functions_by_lane {
    ($($name:ident $f:expr;)*) => {$(
        #[doc = concat!("`", stringify!($name), "` of every lane in turn.")]
        #[inline(always)]
        pub fn $name<T: Float>(x: T) -> T {
            x.each($f)
        }
    )*};
}

functions_by_lane! {
    sin f32::sin;
    cos f32::cos;
    tan f32::tan;
    asin f32::asin;
    acos f32::acos;
    atan f32::atan;
    sinh f32::sinh;
    cosh f32::cosh;
    asinh f32::asinh;
    acosh f32::acosh;
    atanh f32::atanh;
}

/// The angle of the point `(x, y)`.
#[inline(always)]
pub fn atan2<T: Float>(y: T, x: T) -> T {
    y.each2(x, f32::atan2)
}

/// `2^x`.
#[inline(always)]
pub fn exp2<T: Float + Number>(x: T) -> T {
    exp(x.mul(x.constant(core::f32::consts::LN_2)))
}

/// The logarithm to base 2.
#[inline(always)]
pub fn log2<T: Float + Number>(x: T) -> T {
    log(x).mul(x.constant(core::f32::consts::LOG2_E))
}

/// `x^y`, as `e^(y log x)`.
#[inline(always)]
pub fn pow<T: Float + Number>(x: T, y: T) -> T {
    exp(y.mul(log(x)))
}

/// `1 / sqrt(x)`.
#[inline(always)]
pub fn inverse_sqrt<T: Float + Number>(x: T) -> T {
    x.constant(1.0).div(sqrt(x))
}

/// `x - floor(x)`.
#[inline(always)]
pub fn fract<T: Float + Number>(x: T) -> T {
    x.sub(floor(x))
}

/// `a * b + c`.
#[inline(always)]
pub fn fma<T: Float>(a: T, b: T, c: T) -> T {
    a.fma(b, c)
}

/// `x` clamped to 0 to 1.
#[inline(always)]
pub fn saturate<T: Float + Number>(x: T) -> T {
    clamp(x, x.constant(0.0), x.constant(1.0))
}

/// `a (1 - t) + b t`.
#[inline(always)]
pub fn mix<T: Float + Number>(a: T, b: T, t: T) -> T {
    a.mul(t.constant(1.0).sub(t)).add(b.mul(t))
}

/// `x` in degrees.
#[inline(always)]
pub fn degrees<T: Float + Number>(x: T) -> T {
    x.mul(x.constant(180.0 / core::f32::consts::PI))
}

/// `x` in radians.
#[inline(always)]
pub fn radians<T: Float + Number>(x: T) -> T {
    x.mul(x.constant(core::f32::consts::PI / 180.0))
}

/// `t^2 (3 - 2 t)` with `t = saturate((x - low) / (high - low))`.
#[inline(always)]
pub fn smoothstep<T: Float + Number>(low: T, high: T, x: T) -> T {
    let t = saturate(x.sub(low).div(high.sub(low)));
    t.mul(t).mul(x.constant(3.0).sub(x.constant(2.0).mul(t)))
}

/// 1 where `edge <= x`, else 0.
#[inline(always)]
pub fn step<T: Float + Number>(edge: T, x: T) -> T {
    // A sign of 0 or 1 is at or above the edge.
    let above = x.sub(edge).sign().add(x.constant(1.0));
    above.least(x.constant(1.0))
}

/// The smaller.
#[inline(always)]
pub fn min<T: Number>(a: T, b: T) -> T {
    a.least(b)
}

/// The larger.
#[inline(always)]
pub fn max<T: Number>(a: T, b: T) -> T {
    a.most(b)
}

/// `min(max(x, low), high)`.
#[inline(always)]
pub fn clamp<T: Number>(x: T, low: T, high: T) -> T {
    x.most(low).least(high)
}

/// Numbers with a magnitude and a sign.
pub trait Signed: Copy {
    /// `|self|`.
    fn size(self) -> Self;
    /// -1, 0 or 1.
    fn signum(self) -> Self;
}

/// `|x|`.
#[inline(always)]
pub fn abs<T: Signed>(x: T) -> T {
    x.size()
}

/// -1, 0 or 1 as `x` is below, at or above 0.
#[inline(always)]
pub fn sign<T: Signed>(x: T) -> T {
    Signed::signum(x)
}

macro_rules! signed {
    ($([$($generics:tt)*] $type:ty: $size:expr, $signum:expr;)*) => {$(
        impl<$($generics)*> Signed for $type {
            #[inline(always)]
            fn size(self) -> Self {
                $size(self)
            }
            #[inline(always)]
            fn signum(self) -> Self {
                $signum(self)
            }
        }
    )*};
}

signed! {
    [] f32: f32::abs, Float::sign;
    [] i32: i32::wrapping_abs, i32::signum;
    [] u32: |v| v, |v: u32| v.min(1);
    [S: Simd] F32<S>: Float::abs, Float::sign;
    [S: Simd] I32<S>: |v: Self| v.most(-v), |v: Self| v.map(i32::signum);
    [S: Simd] U32<S>: |v| v, |v: Self| v.map(|v| v.min(1));
    [T: Signed] Vec2<T>: |v: Self| v.map(T::size), |v: Self| v.map(T::signum);
    [T: Signed] Vec3<T>: |v: Self| v.map(T::size), |v: Self| v.map(T::signum);
    [T: Signed] Vec4<T>: |v: Self| v.map(T::size), |v: Self| v.map(T::signum);
}

/// `x 2^exponent`.
#[inline(always)]
pub fn ldexp<T: Float, N: Convert<F32 = T>>(x: T, exponent: N) -> T {
    x.each2(exponent.to_f32(), |x, exponent| (f64::from(x) * f64::from(exponent).exp2()) as f32)
}
