//! WGSL's vectors, over scalars or lanes.

use core::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};

use fearless_simd::Simd;

use crate::{Bits, Blend, Bool, Compare, Convert, F32, I32, Number, ToLanes, U32};

/// WGSL's vectors as arrays of `N` components.
pub trait Components<const N: usize>: Copy {
    /// A component.
    type Component: Copy;
    /// The components in order.
    fn to_components(self) -> [Self::Component; N];
    /// The vector of these components.
    fn from_components(components: [Self::Component; N]) -> Self;
}

/// Negation, which wraps around: `i32::MIN` is its own negative.
pub trait Negate: Copy {
    /// `-self`.
    fn negate(self) -> Self;
}

/// Shifts by the low five bits of `by`.
pub trait Shift<A>: Copy {
    /// `self << by`.
    fn left(self, by: A) -> Self;
    /// `self >> by`.
    fn right(self, by: A) -> Self;
}

macro_rules! wrapping {
    ($([$($generics:tt)*] $negate:ident $type:ty: $value:expr;)*) => {$(
        impl<$($generics)*> $negate for $type {
            #[inline(always)]
            fn negate(self) -> Self {
                $value(self)
            }
        }
    )*};
    ($([$($generics:tt)*] $type:ty, $by:ty: $left:expr, $right:expr;)*) => {$(
        impl<$($generics)*> Shift<$by> for $type {
            #[inline(always)]
            fn left(self, by: $by) -> Self {
                $left(self, by)
            }
            #[inline(always)]
            fn right(self, by: $by) -> Self {
                $right(self, by)
            }
        }
    )*};
}

wrapping! {
    [] Negate f32: |v: f32| -v;
    [] Negate i32: i32::wrapping_neg;
    [S: Simd] Negate F32<S>: |v: Self| -v;
    [S: Simd] Negate I32<S>: |v: Self| -v;
}

wrapping! {
    [] u32, u32: u32::wrapping_shl, u32::wrapping_shr;
    [] i32, u32: i32::wrapping_shl, i32::wrapping_shr;
    [S: Simd] U32<S>, U32<S>: |v: Self, by| v << by, |v: Self, by| v >> by;
    [S: Simd] I32<S>, U32<S>: |v: Self, by| v << by, |v: Self, by| v >> by;
}

macro_rules! vector {
    ($(#[$doc:meta])* $vector:ident $n:literal: $($c:ident $i:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $vector<T> {
            $(#[allow(missing_docs, reason = "the name says it")] pub $c: T,)*
        }

        impl<T: Copy> $vector<T> {
            /// The same value in every component.
            #[inline(always)]
            pub fn splat(value: T) -> Self {
                $vector { $($c: value),* }
            }

            /// Applies `f` to every component.
            #[inline(always)]
            pub fn map<R>(self, mut f: impl FnMut(T) -> R) -> $vector<R> {
                $vector { $($c: f(self.$c)),* }
            }

            /// Applies `f` to every pair of components.
            #[inline(always)]
            pub fn zip<U: Copy, R>(self, other: $vector<U>, mut f: impl FnMut(T, U) -> R) -> $vector<R> {
                $vector { $($c: f(self.$c, other.$c)),* }
            }

            /// The components in order.
            #[inline(always)]
            pub fn to_array(self) -> [T; $n] {
                [$(self.$c),*]
            }

            /// Sets the component at each lane's index to `value` where `mask` is true.
            #[inline(always)]
            pub fn with<S: Simd>(self, mask: Bool<S>, index: U32<S>, value: T) -> Self
            where
                T: Blend<Bool<S>>,
            {
                let mut items = self.to_array();
                crate::put(&mut items, mask, index, value);
                Self::from_components(items)
            }

            /// The component at index 0, 1, …, clamped to the last.
            #[inline(always)]
            pub fn get(self, index: u32) -> T {
                self.to_array()[(index as usize).min($n - 1)]
            }

            /// The component at this index, clamped to the last.
            #[inline(always)]
            pub fn component(&mut self, index: u32) -> &mut T {
                match index {
                    $($i => &mut self.$c,)*
                    _ => {
                        let last = [$(&mut self.$c),*];
                        let [.., last] = last;
                        last
                    }
                }
            }
        }

        impl<T: Copy> Components<$n> for $vector<T> {
            type Component = T;
            #[inline(always)]
            fn to_components(self) -> [T; $n] {
                self.to_array()
            }
            #[inline(always)]
            fn from_components([$($c),*]: [T; $n]) -> Self {
                $vector { $($c),* }
            }
        }

        vector!(@operators $vector: Add add, Sub sub, Mul mul, Div div, Rem rem);
        vector!(@bits $vector: BitAnd bitand, BitOr bitor, BitXor bitxor);

        impl<T: Number> Mul<T> for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn mul(self, other: T) -> Self {
                self.map(|a| a.mul(other))
            }
        }

        impl<T: Number> Div<T> for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn div(self, other: T) -> Self {
                self.map(|a| a.div(other))
            }
        }

        impl<T: Negate> Neg for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self.map(T::negate)
            }
        }

        impl<T: Copy + Not<Output = T>> Not for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                self.map(|a| !a)
            }
        }

        impl<T: Shift<U>, U: Copy> Shl<$vector<U>> for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn shl(self, by: $vector<U>) -> Self {
                self.zip(by, T::left)
            }
        }

        impl<T: Shift<U>, U: Copy> Shr<$vector<U>> for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn shr(self, by: $vector<U>) -> Self {
                self.zip(by, T::right)
            }
        }

        impl<T: Number> Number for $vector<T> {
            vector!(@number add sub mul div rem least most);
        }

        impl<T: Compare> Compare for $vector<T> {
            type Mask = $vector<T::Mask>;
            #[inline(always)]
            fn eq(self, other: Self) -> Self::Mask {
                self.zip(other, T::eq)
            }
            #[inline(always)]
            fn ne(self, other: Self) -> Self::Mask {
                self.zip(other, T::ne)
            }
            #[inline(always)]
            fn lt(self, other: Self) -> Self::Mask {
                self.zip(other, T::lt)
            }
            #[inline(always)]
            fn le(self, other: Self) -> Self::Mask {
                self.zip(other, T::le)
            }
            #[inline(always)]
            fn gt(self, other: Self) -> Self::Mask {
                self.zip(other, T::gt)
            }
            #[inline(always)]
            fn ge(self, other: Self) -> Self::Mask {
                self.zip(other, T::ge)
            }
        }

        impl<T: Copy + BitAnd<Output = T> + BitOr<Output = T>> $vector<T> {
            /// WGSL's `all`.
            #[inline(always)]
            pub fn all(self) -> T {
                let [first, rest @ ..] = self.to_array();
                rest.into_iter().fold(first, |all, a| all & a)
            }

            /// WGSL's `any`.
            #[inline(always)]
            pub fn any(self) -> T {
                let [first, rest @ ..] = self.to_array();
                rest.into_iter().fold(first, |any, a| any | a)
            }
        }

        impl<T: Convert> Convert for $vector<T> {
            type F32 = $vector<T::F32>;
            type U32 = $vector<T::U32>;
            type I32 = $vector<T::I32>;
            type Bool = $vector<T::Bool>;
            #[inline(always)]
            fn to_f32(self) -> Self::F32 {
                self.map(T::to_f32)
            }
            #[inline(always)]
            fn to_u32(self) -> Self::U32 {
                self.map(T::to_u32)
            }
            #[inline(always)]
            fn to_i32(self) -> Self::I32 {
                self.map(T::to_i32)
            }
            #[inline(always)]
            fn to_bool(self) -> Self::Bool {
                self.map(T::to_bool)
            }
        }

        impl<T: Bits> Bits for $vector<T> {
            #[inline(always)]
            fn bits_f32(self) -> Self::F32 {
                self.map(T::bits_f32)
            }
            #[inline(always)]
            fn bits_u32(self) -> Self::U32 {
                self.map(T::bits_u32)
            }
            #[inline(always)]
            fn bits_i32(self) -> Self::I32 {
                self.map(T::bits_i32)
            }
        }

        impl<S: Simd, T: Blend<Bool<S>> + Copy> Blend<Bool<S>> for $vector<T> {
            #[inline(always)]
            fn blend(mask: Bool<S>, accept: Self, reject: Self) -> Self {
                $vector { $($c: T::blend(mask, accept.$c, reject.$c)),* }
            }
        }

        impl<M: Copy> $vector<M> {
            /// WGSL's `select`, per component.
            #[inline(always)]
            pub fn select<T: Blend<M> + Copy>(self, accept: $vector<T>, reject: $vector<T>) -> $vector<T> {
                $vector { $($c: T::blend(self.$c, accept.$c, reject.$c)),* }
            }
        }

        impl<S: Simd, T: ToLanes<S>> ToLanes<S> for $vector<T> {
            type Lanes = $vector<T::Lanes>;
            #[inline(always)]
            fn lanes(self, simd: S) -> Self::Lanes {
                $vector { $($c: self.$c.lanes(simd)),* }
            }
        }
    };
    (@operators $vector:ident: $($trait:ident $method:ident),*) => {$(
        impl<T: Number> $trait for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, T::$method)
            }
        }
    )*};
    (@number $($method:ident)*) => {$(
        #[inline(always)]
        fn $method(self, other: Self) -> Self {
            self.zip(other, T::$method)
        }
    )*};
    (@bits $vector:ident: $($trait:ident $method:ident),*) => {$(
        impl<T: Copy + $trait<Output = T>> $trait for $vector<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, T::$method)
            }
        }
    )*};
}

vector! {
    /// `vec2`.
    Vec2 2: x 0, y 1
}
vector! {
    /// `vec3`.
    Vec3 3: x 0, y 1, z 2
}
vector! {
    /// `vec4`.
    Vec4 4: x 0, y 1, z 2, w 3
}
