//! `cargo xtask test`: all checks of a change.

use std::path::{Path, PathBuf};

use crate::setup::{self, GPU};
use crate::shell::{Result, Shell};

/// Runs all checks and tests and stops at the first failure. All tests run with models on the processor; then the tests
/// of models run on a device with a driver, so that both kinds of devices pass the same tests.
pub fn test(shell: &mut Shell) -> Result {
    shell.run("cargo fmt --all --check")?;
    // cargo fmt does not find these modules, which are declared by a macro.
    let of_kiln = ["layers", "losses", "metrics", "optimizers"].map(|module| format!("crates/kiln/src/{module}"));
    for folder in std::iter::once("crates/ops/src").chain(of_kiln.iter().map(String::as_str)) {
        let files = modules(&shell.root().join(folder))?;
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        shell.run_with("rustfmt --check --edition 2024", &files, &[])?;
    }
    shell.run("cargo clippy --workspace --all-targets -- -D warnings")?;
    shell.run_with("cargo doc --workspace --no-deps", &[], &[("RUSTDOCFLAGS", "-D warnings")])?;
    // Fails if a manifest or a file needed for a release is missing.
    shell.run("cargo package --workspace --no-verify --allow-dirty --quiet")?;
    // Always the whole workspace: another selection of packages has other features of dependencies and rebuilds most of
    // them.
    shell.run("cargo build --workspace --lib --bins --tests --examples")?;
    let kiln = shell.built("debug", "kiln");
    setup::gpu(shell, &kiln)?;
    shell.run_with("cargo test --workspace", &[], &[("KILN_DEVICE", "cpu")])?;
    shell.run_with("cargo test --workspace --test main", &[], &[("KILN_DEVICE", GPU)])?;
    for example in quick_examples(&shell.root().join("examples"))? {
        let example = shell.built("debug", &example);
        shell.run(&example)?;
    }
    println!("\nall passed\n{}", shell.times());
    Ok(())
}

/// The files of a folder's modules: `NAME.rs`, or `NAME/mod.rs` where a module is a folder.
fn modules(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let file = |path: PathBuf| if path.is_dir() { path.join("mod.rs") } else { path };
    let mut files: Vec<String> =
        entries.flatten().map(|entry| file(entry.path()).to_string_lossy().into_owned()).collect();
    files.sort();
    Ok(files)
}

/// The programs of the quick examples: all but those with a documentation line that starts with `Needs `, such as `//!
/// Needs MNIST: ...` or `//! Needs a window.`. An example is a file, a folder with a `main.rs`, or a package.
fn quick_examples(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut examples = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let (folder, source) = match (path.is_dir(), path.join("Cargo.toml").exists()) {
            (_, true) => ("", path.join("src/main.rs")),
            (true, false) => ("examples/", path.join("main.rs")),
            (false, false) => ("examples/", path.clone()),
        };
        if source.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let (Ok(text), Some(name)) = (std::fs::read_to_string(&source), path.file_stem()) else { continue };
        if !text.lines().any(|line| line.starts_with("//! Needs ")) {
            examples.push(format!("{folder}{}", name.to_string_lossy()));
        }
    }
    examples.sort();
    Ok(examples)
}
