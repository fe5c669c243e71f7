//! `cargo xtask test`: everything that must hold before a change is kept.

use std::path::Path;

use crate::setup;
use crate::shell::{Profile, Result, Shell};

/// Runs all checks and tests and stops at the first that fails.
pub fn test(shell: &mut Shell) -> Result {
    setup::vulkan(shell, Profile::Dev)?;
    shell.run("cargo fmt --all --check")?;
    shell.run("cargo clippy --workspace --all-targets -- -D warnings")?;
    shell.run_with("cargo doc --workspace --no-deps", &[], &[("RUSTDOCFLAGS", "-D warnings")])?;
    shell.run("cargo test --workspace")?;
    shell.run("cargo build --examples")?;
    for example in quick_examples(&shell.root().join("examples"))? {
        shell.run(&format!("cargo run --quiet --example {example}"))?;
    }
    println!("\nall passed\n{}", shell.times());
    Ok(())
}

/// The examples that anyone can run in a moment: all but those whose documentation has a line that starts with `Needs `,
/// such as `//! Needs MNIST: ...` or `//! Needs a window.`.
fn quick_examples(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut examples = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let source = if path.is_dir() { path.join("main.rs") } else { path.clone() };
        if source.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let (Ok(text), Some(name)) = (std::fs::read_to_string(&source), path.file_stem()) else { continue };
        if !text.lines().any(|line| line.starts_with("//! Needs ")) {
            examples.push(name.to_string_lossy().into_owned());
        }
    }
    examples.sort();
    Ok(examples)
}
