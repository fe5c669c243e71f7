//! Elements of arrays at indices that are computed. An index beyond the last element means the last.

use fearless_simd::Simd;

use crate::{Blend, Bool, Compare, U32};

/// The element at an index that is the same for all invocations.
#[inline(always)]
pub fn element<T: Copy, const N: usize>(items: &[T; N], index: u32) -> T {
    items[(index as usize).min(N - 1)]
}

/// The element at an index that is the same for all invocations, to be written.
#[inline(always)]
pub fn element_mut<T, const N: usize>(items: &mut [T; N], index: u32) -> &mut T {
    &mut items[(index as usize).min(N - 1)]
}

/// For each lane, that of the element at the lane's index.
#[inline(always)]
pub fn pick<S: Simd, T: Blend<Bool<S>> + Copy, const N: usize>(index: U32<S>, items: &[T; N]) -> T {
    let mut found = items[N - 1];
    for (number, item) in items.iter().enumerate().take(N - 1) {
        let here = index.eq(U32::splat(index.token(), number as u32));
        found = T::blend(here, *item, found);
    }
    found
}

/// Writes, for each lane where `mask` is true, the lane of the element at the lane's index.
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
