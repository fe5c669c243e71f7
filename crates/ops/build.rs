//! Shaders to typed kernels.

fn main() {
    let builder = kiln_build::Builder::new("shaders").paths(kiln_build::Paths::of_parts());
    // SAFETY: every kernel runs in the checks of each op, with run-time checks, over all shapes of its cases; ops take the
    // sizes that a kernel is told from the tensors that it is called with.
    unsafe { builder.trusted() }.build();
}
