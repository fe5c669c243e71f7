//! Native kernels, translated from WGSL by kiln-build, for devices without a GPU.

use std::ops::Range;
use std::sync::OnceLock;

use crate::Step;

/// The number of bytes that may be read beyond the end of every [`Memory`]: two of the widest vectors, as of a tile's
/// columns. Their values are not used.
pub const PADDING: usize = 128;

/// The translation of a kernel: plain function pointers, independent of any SIMD crate.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    /// The shader's `override`s, in the order of [`Dispatch::overrides`].
    pub overrides: &'static [Override],
    /// Runs workgroups without bounds checks, for [trusted](crate::Kernel::trusted) kernels.
    pub unchecked: NativeFn,
    /// Runs workgroups with bounds checks: an out-of-bounds read returns 0, an out-of-bounds write does nothing, and
    /// both are reported to [`Dispatch::fault`]. `None` for trusted kernels that were compiled without debug assertions,
    /// which halves their code.
    pub checked: Option<NativeFn>,
}

/// Runs the workgroups whose linear indices (x fastest, then y, then z) are in the range.
///
/// # Safety
/// The dispatch's memory must be valid for reads of its words and [`PADDING`], and for writes where the kernel's
/// binding is written; only workgroups of the same dispatch may write it concurrently. Its params must have as many
/// bytes as the kernel's uniform, its overrides as many values as [`Native::overrides`].
pub type NativeFn = unsafe fn(&Dispatch<'_>, Range<u64>);

/// An `override` of a shader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Override {
    /// Its name.
    pub name: &'static str,
    /// Its default value, if any.
    pub default: Option<f64>,
}

/// One call of a native kernel.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch<'a> {
    /// One per binding of the kernel, in order.
    pub memory: &'a [Memory],
    /// The bytes of the kernel's parameters.
    pub params: &'a [u8],
    /// The values that differ between two runs.
    pub step: Step,
    /// The values of the overrides, in the order of [`Native::overrides`].
    pub overrides: &'a [f64],
    /// Workgroups along x, y and z.
    pub workgroups: [u32; 3],
    /// The order of workgroups, and of invocations between two barriers.
    pub order: Order,
    /// The maximum number of lanes of a vector, a power of two of at least 4; `u32::MAX` for the processor's widest.
    pub max_lanes: u32,
    /// Receives a checked kernel's report of an out-of-bounds access.
    pub fault: &'a Fault,
}

/// A range of memory bound to a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Its start, aligned to 4 bytes.
    pub start: *mut u32,
    /// Its size in 32-bit words.
    pub words: usize,
}

// SAFETY: an address and a size; `NativeFn` states the requirements for dereferencing it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// The order of independent work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By ascending index.
    #[default]
    Rising,
    /// Shuffled with this seed. A kernel whose result depends on it has a race.
    Shuffled(u64),
}

impl Order {
    /// The index at `position` of a permutation of `count` indices.
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

/// The first out-of-bounds access of a checked kernel.
#[derive(Debug, Default)]
pub struct Fault(OnceLock<OutOfBounds>);

/// An out-of-bounds access.
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
    /// Reports an access; keeps only the first.
    #[cold]
    pub fn report(&self, access: OutOfBounds) {
        // Later reports are dropped: the first shows the cause.
        let _ = self.0.set(access);
    }

    /// The first reported access.
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
