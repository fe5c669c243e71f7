//! Kernels to Rust, checked and unchecked.

fn main() {
    let builder = kiln_build::Builder::new("shaders").paths(kiln_build::Paths::of_parts());
    // SAFETY: the tests run kernels with invalid accesses in checked form only.
    unsafe { builder.trusted() }.build();
}
