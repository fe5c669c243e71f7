//! Small kernels, each of which covers some constructs of WGSL. The tests run them on the processor and on a GPU and
//! compare the results.
//!
//! The first letter of a binding is its element type: `f…` f32, `i…` i32, `u…` u32, `s…` words of several types.

#[allow(missing_docs)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

pub use generated::*;
