//! Zeroed memory, aligned for vectors and padded for loads past its end.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use kiln_graph::{Memory, PADDING};

/// A cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;

/// Owned memory, followed by [`PADDING`] readable bytes that are never written.
#[derive(Debug)]
pub(crate) struct Allocation {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: an allocation of plain bytes belongs to no thread. Whoever reads or writes it answers for who else does (see
// the methods).
unsafe impl Send for Allocation {}
// SAFETY: as above; `&Allocation` alone gives no access.
unsafe impl Sync for Allocation {}

impl Allocation {
    /// `bytes` bytes, all zero, or `None` when memory runs out.
    pub(crate) fn zeroed(bytes: usize) -> Option<Allocation> {
        let layout = Layout::from_size_align(bytes.checked_add(PADDING)?, ALIGN).ok()?;
        // SAFETY: the layout's size is not 0, because of the padding.
        let start = unsafe { alloc_zeroed(layout) };
        Some(Allocation { start: NonNull::new(start)?, layout })
    }

    /// The size in bytes, without the padding.
    pub(crate) fn bytes(&self) -> usize {
        self.layout.size() - PADDING
    }

    /// Copies `data` to the bytes from `offset` on. The range must be within the allocation.
    ///
    /// # Safety
    /// Nobody else may read or write the range meanwhile.
    pub(crate) unsafe fn write(&self, offset: usize, data: &[u8]) {
        assert!(offset.checked_add(data.len()).is_some_and(|end| end <= self.bytes()), "a write within the allocation");
        // SAFETY: within the allocation, by the line above, and not in use by anybody else, by the contract.
        unsafe { self.start.add(offset).copy_from_nonoverlapping(NonNull::from(data).cast(), data.len()) }
    }

    /// A copy of the `bytes` bytes from `offset` on. The range must be within the allocation.
    ///
    /// # Safety
    /// Nobody may write the range meanwhile.
    pub(crate) unsafe fn read(&self, offset: usize, bytes: usize) -> Vec<u8> {
        assert!(offset.checked_add(bytes).is_some_and(|end| end <= self.bytes()), "a read within the allocation");
        // SAFETY: within the allocation, by the line above, zeroed when it was made, and not written, by the contract.
        unsafe { std::slice::from_raw_parts(self.start.add(offset).as_ptr(), bytes) }.to_vec()
    }

    /// The words of a range as kernels see them. `offset` and `bytes` are multiples of 4, and within the allocation.
    pub(crate) fn memory(&self, offset: usize, bytes: usize) -> Memory {
        assert!(offset.is_multiple_of(4), "a range of whole words");
        assert!(offset.checked_add(bytes).is_some_and(|end| end <= self.bytes()), "a range within the allocation");
        // SAFETY: within the allocation, by the lines above.
        let start = unsafe { self.start.add(offset) };
        Memory { start: start.cast().as_ptr(), words: bytes / 4 }
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: made by `alloc_zeroed` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn memory_is_aligned_and_zero() {
        for bytes in [0, 4, 12, 4096] {
            let memory = Allocation::zeroed(bytes).unwrap();
            assert!(memory.start.as_ptr().addr().is_multiple_of(ALIGN));
            // SAFETY: the allocation is not shared yet.
            assert_eq!(unsafe { memory.read(0, bytes) }, vec![0; bytes]);
        }
    }

    #[test]
    fn more_than_there_is_gives_none() {
        for bytes in [usize::MAX, usize::MAX / 2, isize::MAX as usize - ALIGN - PADDING] {
            assert!(Allocation::zeroed(bytes).is_none());
        }
    }
}
