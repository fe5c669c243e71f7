//! Compiles `shaders/*.wgsl` to typed kernels, for GPUs and for the processor.

fn main() {
    kiln_build::Builder::new("shaders").build();
}
