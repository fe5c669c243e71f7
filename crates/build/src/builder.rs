//! Compiles a folder of shaders to a file of Rust.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs, io, iter, process};

use crate::emit::{self, Options, Paths};
use crate::import::Library;
use crate::source::File;
use crate::{Diagnostic, Error, Shader};

/// The compiled shaders of a folder.
#[derive(Debug)]
pub struct Output {
    /// The shaders in order of their files, each followed by its form in quads, if any.
    pub shaders: Vec<Shader>,
}

impl Output {
    /// The shaders as Rust.
    ///
    /// # Errors
    /// [`Error::Shaders`] if a shader uses a construct that cannot be translated to native code, or two shaders lay out
    /// a shared type differently.
    pub fn rust(&self, options: &Options) -> Result<String, Error> {
        emit::rust(&self.shaders, options).map_err(|diagnostics| Error::Shaders { diagnostics })
    }
}

/// Reads, checks and reflects the shaders `DIR/*.wgsl`, which may import `DIR/lib/*.wgsl`.
///
/// # Errors
/// If a file cannot be read or the folder contains no shader; [`Error::Shaders`] with all mistakes in the shaders.
pub fn compile(dir: impl AsRef<Path>) -> Result<Output, Error> {
    let dir = dir.as_ref();
    let mut diagnostics = Vec::new();
    let mut library = Library::new();
    if dir.join("lib").is_dir() {
        for (stem, file) in read_dir(&dir.join("lib"), &mut diagnostics)? {
            library.insert(stem, file);
        }
    }
    let files = read_dir(dir, &mut diagnostics)?;
    if files.is_empty() && diagnostics.is_empty() {
        return Err(Error::NoShaders { dir: dir.to_owned() });
    }
    let mut shaders = Vec::with_capacity(files.len());
    for (name, file) in files {
        let forms = Shader::new(&name, &file, &library)
            .and_then(|shader| Ok((shader.in_quads(&file, &library)?, shader)))
            .map(|(quads, shader)| iter::once(shader).chain(quads));
        match forms {
            Ok(forms) => shaders.extend(forms),
            // A mistake in an imported file is reported once.
            Err(new) if diagnostics.iter().any(|old: &Diagnostic| old.labels == new.labels) => {}
            Err(new) => diagnostics.push(new),
        }
    }
    if diagnostics.is_empty() { Ok(Output { shaders }) } else { Err(Error::Shaders { diagnostics }) }
}

/// The WGSL files of a folder by stem, in alphabetical order.
fn read_dir(dir: &Path, diagnostics: &mut Vec<Diagnostic>) -> Result<Vec<(String, Arc<File>)>, Error> {
    let read_error = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let entries = fs::read_dir(dir).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut paths: Vec<PathBuf> = entries.map_err(read_error(dir))?.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wgsl") && path.is_file());
    paths.sort();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match path.file_stem().and_then(|stem| stem.to_str()) {
            Some(stem) if is_name(stem) => {
                let text = fs::read_to_string(&path).map_err(read_error(&path))?;
                files.push((stem.to_owned(), Arc::new(File { path: path.clone(), text })));
            }
            _ => diagnostics.push(Diagnostic {
                message: format!("{} is not a valid Rust module name", path.display()),
                labels: Vec::new(),
                notes: vec!["expected a letter, then letters, digits and `_`".to_owned()],
            }),
        }
    }
    Ok(files)
}

fn is_name(stem: &str) -> bool {
    let reserved = matches!(stem, "self" | "super" | "crate" | "lib");
    let mut letters = stem.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !reserved
}

/// Builds a folder of shaders from a build script.
#[derive(Clone, Debug)]
pub struct Builder {
    dir: PathBuf,
    options: Options,
}

impl Builder {
    /// Builds the shaders of `dir`, relative to the package's folder, for a crate that depends on kiln.
    pub fn new(dir: impl Into<PathBuf>) -> Builder {
        Builder { dir: dir.into(), options: Options::default() }
    }

    /// Sets the paths of the crates that generated code uses, for a crate that depends on kiln by another name or not
    /// at all.
    pub fn paths(mut self, paths: Paths) -> Builder {
        self.options.paths = paths;
        self
    }

    /// Lets tested kernels run without run-time checks, for speed. By default, GPUs run kernels with wgpu's bounds
    /// checks and zeroed workgroup memory, and the processor checks every memory access and reports those out of
    /// bounds. Devices opened with `checked: true`, as in debug builds, keep the checks; without debug assertions, native
    /// code has none.
    ///
    /// # Safety
    /// The kernels and the code that calls them must keep the promise of `kiln_graph::Kernel::trusted`: no access outside
    /// a binding, array or workgroup memory, no sum or product that makes an address wraps around, no endless loop, and no
    /// word of workgroup memory that is read before it is written and affects a result or an address.
    pub unsafe fn trusted(mut self) -> Builder {
        self.options.trusted = true;
        self
    }

    /// Writes `$OUT_DIR/kernels.rs` and makes cargo rebuild when a shader changes. On failure, prints the error and
    /// exits with status 1.
    pub fn build(self) {
        if let Err(error) = self.try_build() {
            eprintln!("{error}");
            process::exit(1);
        }
    }

    /// As [`Builder::build`], for a build script that handles errors itself.
    ///
    /// # Errors
    /// As [`compile`], or if the file cannot be written.
    pub fn try_build(&self) -> Result<PathBuf, Error> {
        // Cargo scans the whole folder, so this covers `lib/` and new files.
        println!("cargo::rerun-if-changed={}", self.dir.display());
        // Messages need absolute paths: readers do not know a build script's folder.
        let dir = fs::canonicalize(&self.dir).map_err(|source| Error::Read { path: self.dir.clone(), source })?;
        let out_dir = env::var_os("OUT_DIR").ok_or(Error::NoOutDir)?;
        let path = Path::new(&out_dir).join("kernels.rs");
        // Cargo runs a build script that was interrupted again, so a file that is half written is never used.
        fs::write(&path, compile(dir)?.rust(&self.options)?)
            .map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }
}
