//! Scalars and lanes: the two forms of every WGSL type.

use core::fmt::Debug;

use bytemuck::Pod;
use fearless_simd::{Simd, SimdBase};

use crate::{Bool, F32, I32, U32};

/// The form of a struct's members: [`Scalars`], the same for all invocations, or [`Lanes`].
pub trait Kind: Copy + Debug {
    /// `f32`.
    type F32: Copy + Debug;
    /// `u32`.
    type U32: Copy + Debug;
    /// `i32`.
    type I32: Copy + Debug;
    /// `bool`.
    type Bool: Copy + Debug;
}

/// One value for all invocations.
#[derive(Clone, Copy, Debug)]
pub struct Scalars;

/// One value per invocation.
#[derive(Clone, Copy, Debug)]
pub struct Lanes<S>(core::marker::PhantomData<S>);

impl Kind for Scalars {
    type F32 = f32;
    type U32 = u32;
    type I32 = i32;
    type Bool = bool;
}

impl<S: Simd> Kind for Lanes<S> {
    type F32 = F32<S>;
    type U32 = U32<S>;
    type I32 = I32<S>;
    type Bool = Bool<S>;
}

/// WGSL's `select` by a [`bool`] or by a mask of lanes.
pub trait Blend<M>: Sized {
    /// `accept` where `mask` is true, else `reject`.
    fn blend(mask: M, accept: Self, reject: Self) -> Self;
}

impl<T> Blend<bool> for T {
    #[inline(always)]
    fn blend(mask: bool, accept: T, reject: T) -> T {
        if mask { accept } else { reject }
    }
}

impl<S: Simd, T: Blend<Bool<S>> + Copy, const N: usize> Blend<Bool<S>> for [T; N] {
    #[inline(always)]
    fn blend(mask: Bool<S>, accept: Self, reject: Self) -> Self {
        core::array::from_fn(|i| T::blend(mask, accept[i], reject[i]))
    }
}

/// Values that are the same for all invocations.
pub trait ToLanes<S: Simd> {
    /// The same type with one value per invocation.
    type Lanes;

    /// This value in every lane.
    fn lanes(self, simd: S) -> Self::Lanes;
}

macro_rules! scalar {
    ($scalar:ty, $lanes:ident) => {
        impl<S: Simd> ToLanes<S> for $scalar {
            type Lanes = $lanes<S>;
            #[inline(always)]
            fn lanes(self, simd: S) -> $lanes<S> {
                $lanes::splat(simd, self)
            }
        }
    };
}

scalar!(f32, F32);
scalar!(u32, U32);
scalar!(i32, I32);
scalar!(bool, Bool);

impl<S: Simd, T: ToLanes<S>, const N: usize> ToLanes<S> for [T; N] {
    type Lanes = [T::Lanes; N];
    #[inline(always)]
    fn lanes(self, simd: S) -> [T::Lanes; N] {
        self.map(|element| element.lanes(simd))
    }
}

/// Scalars stored as one 32-bit word.
pub trait Word: Pod + Default {
    /// One per invocation.
    type Lanes<S: Simd>: Copy + Blend<Bool<S>>;

    /// The same value in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Lanes<S>;

    /// Lane `i` is `value(i)`.
    fn from_fn<S: Simd>(simd: S, value: impl FnMut(usize) -> Self) -> Self::Lanes<S>;

    /// The values of all lanes.
    fn as_slice<S: Simd>(lanes: &Self::Lanes<S>) -> &[Self];

    /// The values of a slice with as many elements as there are lanes.
    fn from_slice<S: Simd>(simd: S, values: &[Self]) -> Self::Lanes<S>;
}

macro_rules! word {
    ($scalar:ty, $lanes:ident, $vector:ident) => {
        impl Word for $scalar {
            type Lanes<S: Simd> = $lanes<S>;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> $lanes<S> {
                $lanes::splat(simd, value)
            }
            #[inline(always)]
            fn from_fn<S: Simd>(simd: S, value: impl FnMut(usize) -> Self) -> $lanes<S> {
                $lanes::from_fn(simd, value)
            }
            #[inline(always)]
            fn as_slice<S: Simd>(lanes: &$lanes<S>) -> &[Self] {
                lanes.0.as_slice()
            }
            #[inline(always)]
            fn from_slice<S: Simd>(simd: S, values: &[Self]) -> $lanes<S> {
                $lanes(S::$vector::from_slice(simd, values))
            }
        }
    };
}

word!(f32, F32, f32s);
word!(u32, U32, u32s);
word!(i32, I32, i32s);
