//! A folder of WGSL in, typed Rust out: what a build script calls so that a kernel's bindings, parameters, overrides
//! and constants are checked by the Rust compiler.
//!
//! ```text
//! DIR/*.wgsl, DIR/lib/*.wgsl --#import--> Source --naga--> Module --reflection--> Shader --> Rust
//! ```
//!
//! Each `DIR/NAME.wgsl` becomes `mod NAME` with one argument struct per `@compute` entry point; `DIR/lib/*.wgsl` holds
//! what they share, put in where a line says `#import NAME`. A mistake is reported as rustc would, in the file that a
//! person wrote, and every convention that planners rely on is checked:
//!
//! - storage buffers lie in group 0, numbered from 0 without gaps; `read_write` means that the entry point writes it;
//! - at most one uniform buffer in group 0, a struct: the parameters of a call;
//! - `#gpu_only` above an entry point says that it is for GPUs: no native code is made of it;
//! - `#import step` gives the uniform buffer at group 1, binding 0, which differs between the steps of a run;
//! - workgroup sizes and workgroup memory do not depend on overrides;
//! - what every WebGPU device can do is enough, but for subgroups.
//!
//! A struct of parameters, or overrides, that `DIR/lib/NAME.wgsl` declares become one Rust type each, in `lib::NAME`, for all
//! shaders that import it.
//!
//! A top-level `const` whose scalar type is written out or follows from its value (`6u`, not `6`) is a Rust `const` too.
//!
//! # Example
//!
//! ```no_run
//! // build.rs
//! kiln_build::Builder::new("shaders").build();
//! ```
//!
//! ```ignore
//! // lib.rs
//! mod kernels {
//!     include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
//! }
//! ```

mod builder;
mod comments;
mod conventions;
mod diagnostics;
mod emit;
mod import;
mod layout;
mod names;
mod reflect;
mod shader;
mod source;
mod translate;

pub use builder::{Builder, Output, compile};
pub use diagnostics::{Diagnostic, Error, Label};
pub use emit::{Options, Paths};
pub use layout::{Member, Struct};
pub use reflect::{Binding, Constant, EntryPoint, Override, Params, Reflection};
pub use shader::Shader;
pub use source::Source;
