//! The runtime of translated kernels.
//!
//! kiln-build translates WGSL to Rust that computes neighbouring invocations at once: uniform values are scalars,
//! varying values are vectors with one lane per invocation. This crate has those vectors ([`F32`], [`U32`], [`I32`],
//! [`Bool`]), WGSL's own vectors over scalars and lanes alike ([`Vec2`], [`Vec3`], [`Vec4`]), WGSL's functions, and a
//! kernel's memory ([`Storage`], [`Uniform`]). The instructions come from `fearless_simd`: AVX-512, AVX2, SSE2, NEON or
//! a portable form, chosen when a kernel is called ([`native!`]).
//!
//! It is independent of any kernel, and only translated code is meant to use it.

mod bits;
mod geometry;
mod items;
mod kind;
mod lanes;
mod math;
mod matrix;
mod memory;
mod number;
mod run;
mod vector;

pub use fearless_simd::Simd;
pub use kiln_graph::{Dispatch, Fault, Native, Order, Override};

pub use bits::*;
pub use geometry::*;
pub use items::{element, element_mut, pick, put};
pub use kind::{Blend, Kind, Lanes, Scalars, ToLanes, Word};
pub use lanes::{Bool, Clamped, F32, I32, U32, linear};
pub use math::*;
pub use matrix::*;
pub use memory::{Storage, Stored, Uniform};
pub use number::{Bits, Compare, Convert, Number, div, rem};
pub use run::{
    Invocations, LEAST_LANES, Workgroup, align_stack, for_each_vector, for_each_workgroup, instruction_set, memory,
    most_vectors, override_value, step_bytes, workgroup_memory,
};
pub use vector::{Components, Vec2, Vec3, Vec4};

#[doc(hidden)]
pub use fearless_simd::{Level, dispatch};
