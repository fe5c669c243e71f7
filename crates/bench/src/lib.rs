//! How fast a device is and whether it computes right, told by the machinery that runs every model: what `cargo bench`,
//! `kiln bench` and `kiln check` share.
//!
//! - [`workloads`] lists the ops of the networks that Kiln is measured with; [`measure`] times one of them.
//! - [`Peak`] is what the device was measured to do at most: a loop of multiply-adds, and a large copy.
//! - [`Training`] trains a whole network on made-up images.
//! - [`checks`] lists what a driver must get right: every op against its f64 reference, a training that Keras recorded,
//!   the same bits twice, and the same bits where tensors do not fit into a binding.
//! - [`mutations`] damages files, for tests that none of them can end the process.

mod check;
mod measure;
mod mutations;
mod peak;
mod training;
mod workloads;

mod kernels {
    //! What kiln-build makes of `shaders/`.
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

pub use check::{Check, Finding, Replay, checks};
pub use measure::{Measured, Samples, measure};
pub use mutations::{FUZZ_VARIABLE, mutations};
pub use peak::Peak;
pub use training::{Training, made_up};
pub use workloads::{Given, Workload, networks, workloads};
