//! Dynamic indexing of arrays. Indices are clamped to the last element.

use fearless_simd::Simd;

use crate::{Blend, Bool, Compare, U32};

/// The element at an index that is the same for all invocations.
#[inline(always)]
pub fn element<T: Copy, const N: usize>(items: &[T; N], index: u32) -> T {
    items[(index as usize).min(N - 1)]
}

/// A mutable reference to the element at an index that is the same for all invocations.
#[inline(always)]
pub fn element_mut<T, const N: usize>(items: &mut [T; N], index: u32) -> &mut T {
    &mut items[(index as usize).min(N - 1)]
}

/// Gathers: lane `i` is lane `i` of the element at that lane's index.
#[inline(always)]
pub fn pick<S: Simd, T: Blend<Bool<S>> + Copy, const N: usize>(index: U32<S>, items: &[T; N]) -> T {
    let mut found = items[N - 1];
    for (number, item) in items.iter().enumerate().take(N - 1) {
        let here = index.eq(U32::splat(index.token(), number as u32));
        found = T::blend(here, *item, found);
    }
    found
}

/// Scatters: writes lane `i` of the element at that lane's index where `mask` is true.
#[inline(always)]
pub fn put<S: Simd, T: Blend<Bool<S>> + Copy, const N: usize>(
    items: &mut [T; N],
    mask: Bool<S>,
    index: U32<S>,
    value: T,
) {
    for (number, item) in items.iter_mut().enumerate() {
        let number = U32::splat(index.token(), number as u32);
        let here = if number.lane(0) as usize == N - 1 { index.ge(number) } else { index.eq(number) };
        *item = T::blend(here & mask, value, *item);
    }
}
