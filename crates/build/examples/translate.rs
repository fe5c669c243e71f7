//! Prints the Rust generated from a folder of shaders, for a crate that does not depend on kiln: `cargo run -p
//! kiln-build --example translate -- DIR`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("expected a folder of shaders")?;
    let rust = kiln_build::compile(dir)?.rust(&kiln_build::Options::new(kiln_build::Paths::of_parts()))?;
    print!("{rust}");
    Ok(())
}
