//! The computation graph, as plain data.
//!
//! ```text
//! Graph (SSA: nodes hold an Arc<dyn Op>)  --Plan::new-->  Plan (calls of kernels, buffers)  --Device::program-->  Program
//! ```
//!
//! This crate is independent of ops and devices. [`Op`] is the interface of ops, [`Device`] the interface of devices,
//! and [`Plan`] the data between them, so that one plan runs on wgpu, on the processor, or on a user's own device. Its
//! tests need no device.
//!
//! Nothing waits but [`block_on`] and the methods that say so: a run and a read are futures ([`Pending`]), and so is the
//! compilation of a plan ([`Device::program_async`]).
//!
//! # Example
//!
//! ```
//! use kiln_graph::{DType, Graph, Shape, TensorType};
//!
//! let mut graph = Graph::new();
//! let parameters = graph.buffer("parameters");
//! let kernel = graph.persistent(TensorType::new([5, 5, 1, 20], DType::F32), parameters, 0);
//! assert_eq!(graph.shape(kernel), &Shape::from([5, 5, 1, 20]));
//! ```

mod array;
mod autodiff;
mod blocking;
mod buffers;
mod check;
mod choices;
mod device;
mod device_error;
mod error;
mod form;
mod fusion;
mod graph;
mod interpret;
mod kernel;
mod limits;
mod lowering;
mod native;
mod op;
mod order;
mod pending;
mod plan;
mod precision;
mod profile;
mod slots;
mod splitmix64;
mod step;
mod tensor;
mod unknown_name;
mod windows;

pub use array::Array;
pub use autodiff::Gradient;
pub use blocking::{block_on, may_wait};
pub use buffers::{Buffers, Preparation};
pub use choices::{Choice, Choices};
pub use device::{Device, DeviceBuffer, DeviceFuture, Program, ReadBack};
pub use device_error::DeviceError;
pub use error::{Error, Result};
pub use form::Form;
pub use graph::{Buffer, Graph, Node, Storage};
pub use interpret::Interpreter;
pub use kernel::{Access, Binding, Call, Kernel, KernelDescriptor, Uniform};
pub use limits::{Algorithms, DeviceInfo, DeviceKind, Limits};
pub use lowering::{Lowering, linear_workgroups};
pub use native::{Dispatch, Fault, Memory, Native, NativeFn, Order, OutOfBounds, Override, PADDING};
pub use op::Op;
pub use pending::{Done, Pending};
pub use plan::{Argument, CallDescriptor, Plan, PlanBuffer, PlannedCall, READ_PAST};
pub use precision::Precision;
pub use profile::{CallTime, LayerTime, Profile, Timing};
pub use splitmix64::{SPLITMIX64_STEP, splitmix64};
pub use step::Step;
pub use tensor::{DType, Shape, Tensor, TensorType};
pub use unknown_name::UnknownName;
pub use windows::{Pieces, Window};
