//! The interface through which translated kernels are called.

use core::cell::RefCell;
use core::ops::Range;

use fearless_simd::{Level, Simd};
use kiln_graph::{Dispatch, Memory, Order};

use crate::{U32, Uniform, Vec3};

/// The smallest number of lanes of a vector on any processor.
pub const LEAST_LANES: u32 = 4;

/// The position of a workgroup, and the number of workgroups.
#[derive(Clone, Copy, Debug)]
pub struct Workgroup {
    /// WGSL's `workgroup_id`.
    pub id: Vec3<u32>,
    /// WGSL's `num_workgroups`.
    pub count: Vec3<u32>,
}

/// The invocations of a workgroup that are the lanes of one vector.
#[derive(Clone, Copy, Debug)]
pub struct Invocations {
    /// WGSL's `local_invocation_id.x` of the first; each next lane has one more.
    pub x: u32,
    /// WGSL's `local_invocation_id.y`.
    pub y: u32,
    /// WGSL's `local_invocation_id.z`.
    pub z: u32,
    /// The index of the vector within the workgroup.
    pub index: usize,
}

impl Invocations {
    /// The first vector of a workgroup.
    pub const FIRST: Invocations = Invocations { x: 0, y: 0, z: 0, index: 0 };
}

/// Calls `body` for the workgroups at these positions in dispatch order.
#[inline(always)]
pub fn for_each_workgroup(dispatch: &Dispatch<'_>, range: Range<u64>, mut body: impl FnMut(Workgroup)) {
    let [x, y, z] = dispatch.workgroups.map(|count| u64::from(count.max(1)));
    let [columns, rows, layers] = dispatch.workgroups;
    let count = Vec3 { x: columns, y: rows, z: layers };
    for position in range {
        let index = dispatch.order.at(position, x * y * z);
        let id = Vec3 { x: (index % x) as u32, y: (index / x % y) as u32, z: (index / (x * y)) as u32 };
        body(Workgroup { id, count });
    }
}

/// Calls `body` for the vectors of a workgroup of `size` invocations along x, y and z, in this order.
#[inline(always)]
pub fn for_each_vector<S: Simd>(size: [u32; 3], order: Order, mut body: impl FnMut(Invocations)) {
    let lanes = U32::<S>::LEN as u32;
    let across = size[0].div_ceil(lanes);
    let count = across * size[1] * size[2];
    for position in 0..count {
        let index = match order {
            Order::Rising => position,
            shuffled => shuffled.at(u64::from(position), u64::from(count)) as u32,
        };
        let (row, column) = (index / across, index % across);
        body(Invocations { x: column * lanes, y: row % size[1], z: row / size[1], index: index as usize });
    }
}

/// The largest number of vectors, on any processor, of a workgroup of `size` invocations along x, y and z.
pub const fn most_vectors(size: [u32; 3]) -> usize {
    (size[0].div_ceil(LEAST_LANES) * size[1] * size[2]) as usize
}

/// The memory of a binding, empty if the dispatch has none.
#[inline(always)]
pub fn memory(dispatch: &Dispatch<'_>, binding: usize) -> Memory {
    let none = Memory { start: core::ptr::without_provenance_mut(align_of::<u32>()), words: 0 };
    dispatch.memory.get(binding).copied().unwrap_or(none)
}

/// Memory of this thread for the variables of a workgroup: at least `words` words, which start at a cache line and hold
/// any values. It is valid until the next call on this thread.
pub fn workgroup_memory(words: usize) -> *mut u32 {
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Line {
        _words: [u32; 16],
    }
    thread_local! {
        static MEMORY: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    }
    MEMORY.with_borrow_mut(|memory| {
        let lines = words.div_ceil(size_of::<Line>() / size_of::<u32>());
        if memory.len() < lines {
            *memory = vec![Line { _words: [0; 16] }; lines];
        }
        memory.as_mut_ptr().cast()
    })
}

/// The value of an override.
#[inline(always)]
pub fn override_value(dispatch: &Dispatch<'_>, index: usize) -> f64 {
    dispatch.overrides.get(index).copied().unwrap_or_default()
}

/// The values that differ between two runs.
#[inline(always)]
pub fn step_bytes<'a>(dispatch: &'a Dispatch<'_>) -> Uniform<'a> {
    Uniform(bytemuck::bytes_of(&dispatch.step))
}

/// Aligns the stack of the function that this becomes part of to a cache line. Without it, the compiler decides too
/// late to spill whole vectors there, and each may straddle two lines, which randomly halves the speed.
#[inline(always)]
pub fn align_stack() {
    #[repr(align(64))]
    struct Line([u8; 64]);
    let mut line = Line([0; 64]);
    core::hint::black_box(&mut line.0);
}

/// The instruction set that [`native!`](crate::native) selects for at most `max_lanes` lanes.
pub fn instruction_set(max_lanes: u32) -> &'static str {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Avx512(_) if max_lanes >= 16 => "AVX-512",
        _ if max_lanes >= 8 && level.as_avx2().is_some() => "AVX2",
        _ => "SSE2",
    };
    #[cfg(not(target_arch = "x86_64"))]
    return match (level.is_fallback(), max_lanes) {
        (false, _) if cfg!(target_arch = "aarch64") => "NEON",
        (false, _) => "SIMD",
        (true, _) => "no SIMD",
    };
}

/// Creates the [`Native`](crate::Native) of a function `fn kernel<S: Simd, const CHECKED: bool>(S, &Dispatch,
/// Range<u64>)`, compiled for every instruction set with at most `lanes` lanes. A kernel that is not trusted is
/// compiled in its checked form only, and a trusted one without debug assertions in its unchecked form only.
#[macro_export]
macro_rules! native {
    ($($kernel:ident)::+, trusted: $trusted:expr, lanes: $lanes:expr, overrides: $overrides:expr) => {{
        unsafe fn run<const CHECKED: bool>(dispatch: &$crate::Dispatch<'_>, range: ::core::ops::Range<u64>) {
            let level = $crate::Level::new();
            #[cfg(target_arch = "x86_64")]
            if let ($crate::Level::Avx512(simd), 16.., 16..) = (level, dispatch.max_lanes, $lanes) {
                // SAFETY: by this function's own contract.
                return $crate::Simd::vectorize(simd, #[inline(always)] || unsafe {
                    $crate::align_stack();
                    $($kernel)::+::<_, CHECKED>(simd, dispatch, range)
                });
            }
            #[cfg(target_arch = "x86_64")]
            if let (Some(simd), 8.., 8..) = (level.as_avx2(), dispatch.max_lanes, $lanes) {
                // SAFETY: by this function's own contract.
                return $crate::Simd::vectorize(simd, #[inline(always)] || unsafe {
                    $crate::align_stack();
                    $($kernel)::+::<_, CHECKED>(simd, dispatch, range)
                });
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = level.as_sse2() {
                // SAFETY: by this function's own contract.
                return $crate::Simd::vectorize(simd, #[inline(always)] || unsafe {
                    $crate::align_stack();
                    $($kernel)::+::<_, CHECKED>(simd, dispatch, range)
                });
            }
            #[cfg(not(target_arch = "x86_64"))]
            $crate::dispatch!(level, simd => {
                // SAFETY: by this function's own contract.
                unsafe { $($kernel)::+::<_, CHECKED>(simd, dispatch, range) }
            })
        }
        const CHECKED: bool = !$trusted || cfg!(debug_assertions);
        $crate::Native {
            overrides: $overrides,
            unchecked: run::<{ !$trusted }>,
            // Without debug assertions, a trusted kernel has no function with checks, not even an unused one.
            checked: if CHECKED { Some(run::<CHECKED>) } else { None },
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_lanes_are_another_instruction_set() {
        if cfg!(target_arch = "x86_64") {
            assert_eq!(instruction_set(4), "SSE2");
            assert_ne!(instruction_set(8), "AVX-512");
        }
    }
}
