//! Kernels to Rust, checked and unchecked.

fn main() {
    kiln_build::Builder::new("kernels").trusted().build();
}
