//! Kernels, as emitted by kiln-build, and their calls.

use std::ops::Deref;

use crate::{Native, Tensor};

/// An entry point of a WGSL file: its [`KernelDescriptor`], to which it dereferences, its native code, and whether both
/// may run without run-time checks. Emitted by kiln-build.
///
/// A kernel is immutable, so that safe code cannot transfer the guarantees of one kernel to another.
#[derive(Debug)]
pub struct Kernel {
    descriptor: KernelDescriptor,
    native: Option<Native>,
    trusted: bool,
}

/// The interface of an entry point, for the planner and devices.
#[derive(Clone, Copy, Debug)]
pub struct KernelDescriptor {
    /// File stem and entry point: `conv2d.forward`.
    pub name: &'static str,
    /// The shader with its imports expanded: legal WGSL.
    pub source: &'static str,
    /// The function's name in the shader.
    pub entry_point: &'static str,
    /// Invocations per workgroup along x, y and z.
    pub workgroup_size: [u32; 3],
    /// The storage buffers of group 0, by ascending binding number.
    pub bindings: &'static [Binding],
    /// The uniform buffer of group 0 with the call's parameters.
    pub params: Option<Uniform>,
    /// Whether the kernel reads the [`Step`](crate::Step), the uniform buffer at group 1, binding 0.
    pub step: bool,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
}

impl Kernel {
    /// A kernel without native code, which devices run with run-time checks.
    pub const fn new(descriptor: KernelDescriptor) -> Kernel {
        Kernel { descriptor, native: None, trusted: false }
    }

    /// Adds the entry point's native code, for devices without a GPU.
    ///
    /// # Safety
    /// Under the contract of [`NativeFn`](crate::NativeFn), the code must read and write nothing but the dispatch's
    /// memory, and write only what the descriptor binds with [`Access::ReadWrite`]; [`Native::checked`] in every
    /// dispatch, [`Native::unchecked`] if the shader meets the requirements of [`Kernel::trusted`].
    pub const unsafe fn with_native(self, native: Native) -> Kernel {
        Kernel { native: Some(native), ..self }
    }

    /// Lets devices run the kernel without run-time checks: on GPUs without wgpu's bounds checks and zeroing of
    /// workgroup memory, on the processor as [`Native::unchecked`].
    ///
    /// # Safety
    /// In every call that is made of the kernel, no access may lie outside its binding, array or workgroup memory; no sum
    /// or product that makes an address may wrap around; no loop may run forever; and a word of workgroup memory that is
    /// read before it is written must not affect a result or an address. [`Call::new`] and
    /// [`PlannedCall::new`](crate::PlannedCall::new) share in this promise.
    pub const unsafe fn trusted(self) -> Kernel {
        Kernel { trusted: true, ..self }
    }

    /// The native code; `None` for a kernel that only GPUs run.
    pub fn native(&self) -> Option<&Native> {
        self.native.as_ref()
    }

    /// Whether devices may run it without run-time checks ([`Kernel::trusted`]).
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }
}

impl Deref for Kernel {
    type Target = KernelDescriptor;

    fn deref(&self) -> &KernelDescriptor {
        &self.descriptor
    }
}

/// A storage buffer of a kernel.
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

/// The access mode of a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// A uniform buffer of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Uniform {
    /// Its number within group 0.
    pub binding: u32,
    /// Its size in bytes.
    pub bytes: u32,
}

/// One dispatch of a kernel over tensors of a graph. The typed argument struct that kiln-build emits per entry point makes
/// it, so that a renamed binding is a compile error.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) kernel: &'static Kernel,
    pub(crate) arguments: Vec<Tensor>,
    pub(crate) overrides: Vec<(&'static str, f64)>,
    pub(crate) params: Vec<u8>,
    pub(crate) workgroups: [u32; 3],
    pub(crate) flops: u64,
}

impl Call {
    /// A call over one tensor per binding, in the order of [`KernelDescriptor::bindings`], with values of the shader's
    /// `override`s by name, the bytes of the kernel's parameters (empty if it has none), and so many workgroups along x, y
    /// and z.
    ///
    /// # Safety
    /// If the kernel [is trusted](Kernel::is_trusted), the call must keep the promise of [`Kernel::trusted`]: with these
    /// parameters and workgroups, no access may lie outside a tensor.
    pub unsafe fn new(
        kernel: &'static Kernel,
        arguments: Vec<Tensor>,
        overrides: Vec<(&'static str, f64)>,
        params: Vec<u8>,
        workgroups: [u32; 3],
    ) -> Call {
        Call { kernel, arguments, overrides, params, workgroups, flops: 0 }
    }

    /// The kernel to run.
    pub fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// One tensor per binding.
    pub fn arguments(&self) -> &[Tensor] {
        &self.arguments
    }

    /// Values of the shader's `override`s, by name.
    pub fn overrides(&self) -> &[(&'static str, f64)] {
        &self.overrides
    }

    /// The bytes of the kernel's parameters.
    pub fn params(&self) -> &[u8] {
        &self.params
    }

    /// Workgroups along x, y and z.
    pub fn workgroups(&self) -> [u32; 3] {
        self.workgroups
    }

    /// This call, known to need `flops` floating-point operations by its formula (a multiply-add is two), for benches and
    /// profiles; 0, the default, where memory traffic is what counts.
    pub fn flops(mut self, flops: usize) -> Call {
        self.flops = flops as u64;
        self
    }
}
