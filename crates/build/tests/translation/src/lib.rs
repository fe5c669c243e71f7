//! Small kernels, each of which covers some constructs of WGSL. The tests run them on the processor and on a GPU and
//! compare what they compute.
//!
//! A binding's name says what it holds: `f…` f32, `i…` i32, `u…` u32, `s…` words of several types.

#[allow(missing_docs)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

pub use generated::*;
