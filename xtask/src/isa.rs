//! `cargo xtask isa`: the machine code of the kernels for GPUs, without a GPU.

use crate::shell::{Result, Shell};

/// Builds kiln-isa and runs it with these arguments. The build is that of the tests, so that no dependency is built twice.
pub fn isa(shell: &mut Shell, arguments: &[&str]) -> Result {
    shell.run("cargo build --workspace --lib --bins --tests --examples")?;
    let program = shell.built("debug", "kiln-isa");
    shell.run_with(&program, arguments, &[])
}
