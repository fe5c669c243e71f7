//! A kernel as native code: what kiln-build translates WGSL to, and what a device without a GPU runs.

use std::ops::Range;
use std::sync::OnceLock;

use crate::Step;

/// How many bytes may be read behind the end of every [`Memory`]: the widest vector. What is read there is not used.
pub const PADDING: usize = 64;

/// A kernel's translation: plain function pointers, so that no SIMD crate shows here.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    /// The shader's `override`s, in the order in which [`Dispatch::overrides`] holds their values.
    pub overrides: &'static [Override],
    /// Runs workgroups and trusts that no access lies outside its binding: for kernels that are
    /// [trusted](crate::Kernel::trusted).
    pub unchecked: NativeFn,
    /// Runs workgroups and tests every access: one outside its binding reads 0 or is not written, and is reported to
    /// [`Dispatch::fault`].
    pub checked: NativeFn,
}

/// Runs the workgroups whose linear indices (x fastest, then y, then z) lie in the range.
///
/// # Safety
/// The dispatch's memory must be valid for reads of its words and [`PADDING`], and for writes where the kernel's
/// binding is written; nobody else may write it meanwhile, except other workgroups of the same dispatch. Its params must have as
/// many bytes as the kernel's uniform, its overrides as many values as [`Native::overrides`].
pub type NativeFn = unsafe fn(&Dispatch<'_>, Range<u64>);

/// An `override` of a shader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Override {
    /// Its name.
    pub name: &'static str,
    /// Its value where a call gives none.
    pub default: Option<f64>,
}

/// One call of a native kernel.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch<'a> {
    /// One per binding of the kernel, in order.
    pub memory: &'a [Memory],
    /// The bytes of the kernel's parameters.
    pub params: &'a [u8],
    /// What differs between two runs.
    pub step: Step,
    /// The values of the overrides, in the order of [`Native::overrides`].
    pub overrides: &'a [f64],
    /// Workgroups along x, y and z.
    pub workgroups: [u32; 3],
    /// The order of workgroups, and of invocations between two barriers.
    pub order: Order,
    /// The most lanes of a vector, a power of two of at least 4; `u32::MAX` for as many as the processor has.
    pub max_lanes: u32,
    /// Where a checked kernel reports an access outside a binding.
    pub fault: &'a Fault,
}

/// A range of memory that a kernel sees.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Its start, aligned to 4 bytes.
    pub start: *mut u32,
    /// Its size in 32-bit words.
    pub words: usize,
}

// SAFETY: an address and a size; whoever dereferences it answers for what else happens there (see `NativeFn`).
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// An order in which work is done that may be done in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By rising index.
    #[default]
    Rising,
    /// Shuffled by this seed. A kernel whose result changes has a race.
    Shuffled(u64),
}

impl Order {
    /// The index of what comes at `position` of `count`: a permutation.
    #[inline]
    pub fn at(self, position: u64, count: u64) -> u64 {
        match self {
            Order::Rising => position,
            Order::Shuffled(seed) => shuffled(seed, position, count),
        }
    }
}

/// Cycle-walking over a permutation of the next power of two: an odd factor and an addition, both invertible.
fn shuffled(seed: u64, position: u64, count: u64) -> u64 {
    let mask = count.next_power_of_two().wrapping_sub(1);
    let factor = (seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 | 1) | 1;
    let mut at = position;
    loop {
        at = (at ^ (seed >> 7)) & mask;
        at = at.wrapping_mul(factor).wrapping_add(seed >> 17) & mask;
        if at < count {
            return at;
        }
    }
}

/// The first access outside a binding that a checked kernel reports.
#[derive(Debug, Default)]
pub struct Fault(OnceLock<OutOfBounds>);

/// An access outside a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// The variable's name in the shader.
    pub variable: &'static str,
    /// The first 32-bit word of the access, counted from the start of the binding.
    pub word: u32,
    /// The binding's size in 32-bit words.
    pub words: usize,
}

impl Fault {
    /// Reports an access; only the first is kept.
    #[cold]
    pub fn report(&self, access: OutOfBounds) {
        // Later reports are dropped on purpose: the first names the cause.
        let _ = self.0.set(access);
    }

    /// What was reported first.
    pub fn found(&self) -> Option<OutOfBounds> {
        self.0.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_order_holds_every_index_once() {
        for count in [1, 2, 3, 7, 64, 257] {
            for seed in [0, 1, 12_345, u64::MAX] {
                let mut seen: Vec<u64> = (0..count).map(|i| Order::Shuffled(seed).at(i, count)).collect();
                seen.sort_unstable();
                assert!(seen.iter().copied().eq(0..count), "seed {seed}: {seen:?}");
            }
        }
    }

    #[test]
    fn only_the_first_fault_is_kept() {
        let fault = Fault::default();
        assert_eq!(fault.found(), None);
        for word in [3, 4] {
            fault.report(OutOfBounds { variable: "x", word, words: 3 });
        }
        assert_eq!(fault.found().map(|access| access.word), Some(3));
    }
}
