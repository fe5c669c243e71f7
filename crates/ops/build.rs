//! Shaders to typed kernels.

fn main() {
    kiln_build::Builder::new("../../shaders").trusted().build();
}
