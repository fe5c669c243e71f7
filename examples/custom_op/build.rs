//! `shaders/*.wgsl` to typed kernels, for GPUs and for the processor.

fn main() {
    kiln_build::Builder::new("shaders")
        .crate_path("::kiln::graph")
        .simd_path("::kiln::simd")
        .bytemuck_path("::kiln::bytemuck")
        .build();
}
