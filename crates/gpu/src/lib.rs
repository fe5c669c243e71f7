//! Runs plans on wgpu. The only crate that depends on wgpu, and independent of ops.
//!
//! ```text
//! Plan --GpuDevice::program--> Program     pipelines (cached per device), bind groups, one buffer with all parameters
//! program.run(steps, range)  --> Pending   one encoder, one pass, one submission for all steps; the range comes back
//! ```
//!
//! WebGPU cannot submit a command buffer twice, so a program records its prebuilt state again on every run, in a loop
//! that allocates, hashes and matches nothing. Nothing waits except [`block_on`](kiln_graph::block_on): a
//! [`Pending`](kiln_graph::Pending) is a future woken by a thread of the device, and threads compile a program's kernels as
//! futures that are joined.
//!
//! Device errors never panic: error scopes catch the errors of wgpu, and a device that is lost (or destroyed by its app)
//! returns [`DeviceError::Lost`](kiln_graph::DeviceError::Lost) from then on.
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
mod jobs;
mod pending;
mod pipeline;
mod poller;
mod profile;
mod program;
mod scopes;
mod staging;

pub use adapter::{Selector, adapters, adapters_async};
pub use buffer::GpuBuffer;
pub use device::{Allocations, GpuDevice, Options};
pub use kiln_graph::{CallTime, Profile, Timing};
pub use wgpu;
