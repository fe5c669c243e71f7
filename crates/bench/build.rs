//! `shaders/*.wgsl` to typed kernels.

fn main() {
    kiln_build::Builder::new("shaders")
        .crate_path("::kiln::graph")
        .simd_path("::kiln::simd")
        .bytemuck_path("::kiln::bytemuck")
        .trusted()
        .build();
}
