//! How a translated kernel is called.

use core::ops::Range;

use kiln_graph::Dispatch;

/// The fewest lanes that a vector has on any processor.
pub const LEAST_LANES: u32 = 4;

/// Where a workgroup is, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Workgroup {
    /// WGSL's `workgroup_id`.
    pub id: [u32; 3],
    /// WGSL's `num_workgroups`.
    pub count: [u32; 3],
}

/// Calls `body` for the workgroups at these positions of the dispatch's order.
#[inline(always)]
pub fn for_each_workgroup(dispatch: &Dispatch<'_>, range: Range<u64>, mut body: impl FnMut(Workgroup)) {
    let [x, y, z] = dispatch.workgroups.map(|count| u64::from(count.max(1)));
    for position in range {
        let index = dispatch.order.at(position, x * y * z);
        let id = [index % x, index / x % y, index / (x * y)].map(|coordinate| coordinate as u32);
        body(Workgroup { id, count: dispatch.workgroups });
    }
}

/// Makes the [`Native`](crate::Native) of a function `fn kernel<S: Simd, const CHECKED: bool>(S, &Dispatch, Range<u64>)`,
/// which is compiled for every instruction set.
#[macro_export]
macro_rules! native {
    ($kernel:ident, trusted: $trusted:expr, overrides: $overrides:expr) => {{
        unsafe fn run<const CHECKED: bool>(dispatch: &$crate::Dispatch<'_>, range: ::core::ops::Range<u64>) {
            let level = $crate::Level::new();
            #[cfg(target_arch = "x86_64")]
            if let ($crate::Level::Avx512(simd), 16..) = (level, dispatch.max_lanes) {
                // SAFETY: by this function's own contract.
                return $crate::Simd::vectorize(simd, #[inline(always)] || unsafe {
                    $kernel::<_, CHECKED>(simd, dispatch, range)
                });
            }
            #[cfg(target_arch = "x86_64")]
            if let (Some(simd), 8..) = (level.as_avx2(), dispatch.max_lanes) {
                // SAFETY: by this function's own contract.
                return $crate::Simd::vectorize(simd, #[inline(always)] || unsafe {
                    $kernel::<_, CHECKED>(simd, dispatch, range)
                });
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = level.as_sse2() {
                // SAFETY: by this function's own contract.
                return $crate::Simd::vectorize(simd, #[inline(always)] || unsafe {
                    $kernel::<_, CHECKED>(simd, dispatch, range)
                });
            }
            #[cfg(not(target_arch = "x86_64"))]
            $crate::dispatch!(level, simd => {
                // SAFETY: by this function's own contract.
                unsafe { $kernel::<_, CHECKED>(simd, dispatch, range) }
            })
        }
        $crate::Native { overrides: $overrides, unchecked: run::<{ !$trusted }>, checked: run::<true>, trusted: $trusted }
    }};
}
