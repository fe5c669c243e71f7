//! A kernel as kiln-build emits it, and a call of one.

use crate::{Native, Tensor};

/// One entry point of a WGSL file, with all that a planner and a device must know of it. kiln-build emits these.
#[derive(Debug)]
pub struct Kernel {
    /// File stem and entry point: `conv2d.forward`.
    pub name: &'static str,
    /// The whole shader, imports resolved: legal WGSL.
    pub source: &'static str,
    /// The function's name in the shader.
    pub entry_point: &'static str,
    /// Invocations per workgroup along x, y and z.
    pub workgroup_size: [u32; 3],
    /// The storage buffers of group 0, by rising binding number.
    pub bindings: &'static [Binding],
    /// The uniform buffer of group 0 with the call's parameters.
    pub params: Option<Uniform>,
    /// Whether the kernel reads the [`Step`](crate::Step), the uniform buffer at group 1, binding 0.
    pub step: bool,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
    /// The same entry point as native code, for a device without a GPU; `None` for a kernel that only GPUs run.
    pub native: Option<Native>,
}

/// A storage buffer that a kernel sees.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    /// Its number within group 0.
    pub binding: u32,
    /// Whether the kernel writes it.
    pub access: Access,
    /// The alignment of its elements in bytes: 4 for `f32`, 16 for `vec4f`. A bound range is a multiple of it.
    pub align: u32,
}

/// What a kernel does with a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// A uniform buffer that a kernel sees.
#[derive(Clone, Copy, Debug)]
pub struct Uniform {
    /// Its number within group 0.
    pub binding: u32,
    /// Its size in bytes.
    pub bytes: u32,
}

/// One dispatch of a kernel over tensors of a graph. Made by the typed argument struct that kiln-build emits per
/// entry point, so that a renamed binding is a compile error.
#[derive(Clone, Debug)]
pub struct Call {
    /// What runs.
    pub kernel: &'static Kernel,
    /// One tensor per binding, in the order of [`Kernel::bindings`].
    pub arguments: Vec<Tensor>,
    /// Values of the shader's `override`s, by name.
    pub overrides: Vec<(&'static str, f64)>,
    /// The bytes of the kernel's parameters; empty if it has none.
    pub params: Vec<u8>,
    /// Workgroups along x, y and z.
    pub workgroups: [u32; 3],
    /// Floating-point operations that the formula needs (a multiply-add is two), for benches and profiles; 0 where
    /// memory traffic is what counts.
    pub flops: u64,
}

impl Call {
    /// This call, known to need `flops` floating-point operations.
    pub fn flops(mut self, flops: usize) -> Call {
        self.flops = flops as u64;
        self
    }
}
