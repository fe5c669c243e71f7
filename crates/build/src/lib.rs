//! Compiles a folder of WGSL to typed Rust in a build script, so that the Rust compiler checks a kernel's bindings,
//! parameters, overrides and constants.
//!
//! ```text
//! DIR/*.wgsl, DIR/lib/*.wgsl --#import--> Source --naga--> Module --reflection--> Shader --> Rust
//! ```
//!
//! Each `DIR/NAME.wgsl` becomes `mod NAME` with one argument struct per `@compute` entry point; `DIR/lib/*.wgsl` has
//! shared code, included by a line `#import NAME`. Mistakes are reported like rustc's, at their place in the source
//! files, and every convention that planners rely on is checked:
//!
//! - storage buffers are in group 0, numbered from 0 without gaps; an entry point writes each of its `read_write`
//!   buffers;
//! - at most one uniform buffer in group 0, a struct: the parameters of a call;
//! - `#gpu_only` above an entry point restricts it to GPUs: it has no native code;
//! - `#quads` above an entry point adds a kernel for GPUs that computes four adjacent values per invocation: the shader is
//!   built once more with `lib/NAME_quads.wgsl` in place of each imported `lib/NAME.wgsl` that has such a file, where a type
//!   `Value` is `vec4f` instead of `f32`. Its calls have a `Form`;
//! - `#import step` declares the uniform buffer at group 1, binding 0, with the values that differ between steps;
//! - workgroup sizes and workgroup memory do not depend on overrides;
//! - no WebGPU features are needed, except subgroups.
//!
//! Parameter structs and overrides declared in `DIR/lib/NAME.wgsl` become one Rust type each, in `lib::NAME`, for all
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
