//! Runs plans on the processor, with kernels translated to native code. Independent of ops and drivers.
//!
//! ```text
//! Plan --CpuDevice::program--> Program     per call: functions, addresses, parameters, the values of overrides
//! program.run(steps, range)  --> Pending   one parallel region for all steps; done when `run` returns
//! ```
//!
//! A run is one parallel region: all threads walk through the plan's calls together. The workgroups of a call are
//! divided into more chunks than there are threads, and each thread takes the next chunk, so that a preempted thread delays
//! no other. The thread that finishes a call's last chunk opens the next call. No thread is woken,
//! nothing is allocated or looked up between two calls. Results do not depend on the number of threads, because
//! workgroups of one call write to different places.
//!
//! # Shared memory and safety
//!
//! The device is a queue of one: runs, writes and reads of its buffers take turns, each with the device to itself. So
//! while kernels run, only they touch its memory. Every range of a kernel is checked when the program is created,
//! the padding behind each buffer makes loads of whole vectors legal, and no call both reads and writes a buffer. Where
//! in those ranges a kernel reads and writes is up to the kernel: one that is not
//! [`trusted`](kiln_graph::Kernel::trusted) runs in its checked form, which reports an access outside a tensor as
//! [`DeviceError::OutOfBounds`](kiln_graph::DeviceError::OutOfBounds).
//!
//! # Limits
//!
//! Kernels count 32-bit words with a `u32`, so a tensor has at most 2^32 words less 64: 16 GiB.
//!
//! ```
//! use kiln_cpu::{CpuDevice, Options};
//! use kiln_graph::Device;
//!
//! let device = CpuDevice::new(Options { threads: Some(2), ..Options::default() })?;
//! println!("{}", device.info());
//! # Ok::<(), kiln_graph::DeviceError>(())
//! ```

mod allocation;
mod buffer;
mod context;
mod device;
mod options;
mod processor;
mod profile;
mod program;
mod region;
mod team;

pub use context::info;
pub use device::CpuDevice;
pub use options::Options;
