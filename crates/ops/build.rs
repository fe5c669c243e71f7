//! Compiles shaders to typed kernels.

fn main() {
    let builder = kiln_build::Builder::new("shaders").paths(kiln_build::Paths::of_parts());
    // SAFETY: every kernel is tested with run-time checks on all shapes of its op's cases; ops compute a kernel's sizes
    // from the tensors of the call.
    unsafe { builder.trusted() }.build();
}
