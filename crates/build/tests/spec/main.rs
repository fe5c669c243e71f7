//! kiln-build on folders of shaders.
#![allow(clippy::unwrap_used, clippy::panic)]

mod conventions;
mod emission;
mod imports;
mod native;
mod quads;
mod reflection;
mod validation;

use std::path::Path;

use kiln_build::{Error, Options, Output, Shader};

/// Compiles these files, with paths relative to the folder of shaders.
fn compile(files: &[(&str, &str)]) -> Result<Output, Error> {
    with_files(files, |dir| kiln_build::compile(dir))
}

/// Builds these files as a build script does.
fn build(files: &[(&str, &str)]) -> Result<String, Error> {
    with_files(files, |dir| kiln_build::compile(dir)?.rust(&Options::default()))
}

/// Writes these files into a temporary folder, whose path is removed from errors.
fn with_files<T>(files: &[(&str, &str)], work: impl Fn(&Path) -> Result<T, Error>) -> Result<T, Error> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("lib")).unwrap();
    for (path, text) in files {
        std::fs::write(dir.path().join(path), text).unwrap();
    }
    work(dir.path()).map_err(|error| match error {
        Error::Shaders { mut diagnostics } => {
            let folder = format!("{}/", dir.path().display());
            for diagnostic in &mut diagnostics {
                diagnostic.message = diagnostic.message.replace(&folder, "");
                for note in &mut diagnostic.notes {
                    *note = note.replace(&folder, "");
                }
                for label in &mut diagnostic.labels {
                    label.path = label.path.strip_prefix(dir.path()).unwrap().to_owned();
                }
            }
            Error::Shaders { diagnostics }
        }
        other => other,
    })
}

/// The only shader of these files.
fn shader(files: &[(&str, &str)]) -> Shader {
    match compile(files) {
        Ok(output) => output.shaders.into_iter().next().unwrap(),
        Err(error) => panic!("{error}"),
    }
}

/// The diagnostics of these files, without the temporary folder's path.
#[track_caller]
fn assert_error(files: &[(&str, &str)], expected: &str) {
    let found = build(files).unwrap_err().to_string();
    assert_eq!(found, expected.trim(), "\nfound:\n{found}\n");
}

/// The text with an entry point that writes `y`, so that it is a kernel.
fn kernel(declarations: &str) -> String {
    format!(
        "{declarations}
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn forward() {{ y[0] = 1.0; }}
"
    )
}
