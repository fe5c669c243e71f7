//! Runs plans on wgpu. The only crate that sees wgpu; it knows no op.
//!
//! ```text
//! Plan --GpuDevice::program--> Program     pipelines (cached per device), bind groups, one buffer with all parameters
//! program.run(steps, range)  --> Pending   one encoder, one pass, one submission for all steps; the range comes back
//! ```
//!
//! WebGPU cannot submit a command buffer twice, so a program records its prebuilt state again on every run, in a loop
//! that allocates, hashes and matches nothing. Nothing waits before [`Pending::wait`](kiln_graph::Pending::wait).
//!
//! No call panics on what a device can do: errors of wgpu are caught in error scopes, and a device that is lost (or
//! destroyed by the app that owns it) answers [`DeviceError::Lost`](kiln_graph::DeviceError::Lost) from then on.
//!
//! ```no_run
//! use kiln_gpu::{GpuDevice, Options, Selector};
//! use kiln_graph::Device;
//!
//! let device = GpuDevice::open(&Selector::Best, Options::default())?;
//! println!("{}", device.info());
//! # Ok::<(), kiln_graph::DeviceError>(())
//! ```

mod adapter;
mod buffer;
mod cache;
mod context;
mod device;
mod parallel;
mod pending;
mod pipeline;
mod profile;
mod program;
mod staging;

pub use adapter::{Selector, adapters};
pub use buffer::GpuBuffer;
pub use device::{Allocations, GpuDevice, Options};
pub use kiln_graph::{CallTime, Profile, Timing};
pub use wgpu;
