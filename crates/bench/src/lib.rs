//! Benchmarks and correctness checks of devices, run by the same code as every model; shared by `cargo bench`, `kiln
//! bench` and `kiln check`.
//!
//! - [`workloads`] lists the ops of the benchmark networks; [`measure`] times one of them.
//! - [`Peak`] is the device's measured peak: a loop of multiply-adds, and a large copy.
//! - [`Training`] trains a whole network on made-up images.
//! - [`Encoding`] is the time that the host needs for a training step, before the device computes.
//! - [`checks`] lists the checks of a driver: every op against its f64 reference, a training recorded from Keras, and
//!   bit-identical results by every tile, and when a training is repeated or its tensors do not fit in a binding.
//! - [`Recorder`] is a device that records the plans of its programs, for tests and tools that only need the plans.
//! - [`mutations`] damages files, for tests that no file can crash the process.

mod check;
mod encoding;
mod measure;
mod mutations;
mod peak;
mod recorder;
mod training;
mod workloads;

mod kernels {
    //! The kernels of `shaders/`.
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

pub use check::{Check, Finding, Replay, checks};
pub use encoding::Encoding;
pub use measure::{Measured, Samples, measure};
pub use mutations::{FUZZ_VARIABLE, mutations};
pub use peak::Peak;
pub use recorder::Recorder;
pub use training::{Training, TrainingWorkload, made_up, trainings};
pub use workloads::{Given, Workload, workloads};
