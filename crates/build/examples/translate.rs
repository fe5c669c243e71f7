//! Prints the Rust that stands for a folder of shaders: `cargo run -p kiln-build --example translate -- DIR`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("expected a folder of shaders")?;
    let rust = kiln_build::compile(dir)?.rust(&kiln_build::Options::default())?;
    print!("{rust}");
    Ok(())
}
