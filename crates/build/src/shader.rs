//! One shader, from its file to what naga and Kiln know of it.

use std::error::Error as _;
use std::sync::Arc;

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use crate::Diagnostic;
use crate::import::{Library, assemble};
use crate::reflect::{self, Reflection};
use crate::source::{File, Source};

/// A valid shader that keeps to Kiln's conventions.
#[derive(Debug)]
pub struct Shader {
    /// The file's stem: `conv2d`.
    pub name: String,
    /// The text, imports put in, and the origin of its lines.
    pub source: Source,
    /// The text as naga's intermediate representation. Its spans are bytes of [`Source::text`].
    pub module: naga::Module,
    /// What naga found out while validating `module`.
    pub info: ModuleInfo,
    /// What Rust must know of it.
    pub reflection: Reflection,
}

/// What every WebGPU device can do, beyond which a kernel would not be portable.
const WEBGPU: Capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;

impl Shader {
    pub(crate) fn new(name: &str, file: &Arc<File>, library: &Library) -> Result<Shader, Diagnostic> {
        let source = assemble(file, library)?;
        let module = naga::front::wgsl::parse_str(source.text()).map_err(|error| parse_error(&error, &source))?;
        let info = Validator::new(ValidationFlags::all(), WEBGPU)
            .validate(&module)
            .map_err(|error| validation_error(&error, &source))?;
        let reflection = reflect::reflect(&module, &info, &source).map_err(|error| imported(error, &source))?;
        Ok(Shader { name: name.to_owned(), source, module, info, reflection })
    }
}

fn parse_error(error: &naga::front::wgsl::ParseError, source: &Source) -> Diagnostic {
    let labels = error.labels().map(|(span, message)| {
        // Some of naga's labels repeat its message.
        let message = if message == error.message() { "" } else { message };
        source.label(span.to_range().unwrap_or_default(), message)
    });
    let labels = labels.collect();
    let notes = error.notes().map(str::to_owned).collect();
    imported(Diagnostic { message: error.message().to_owned(), labels, notes }, source)
}

fn validation_error(error: &naga::WithSpan<naga::valid::ValidationError>, source: &Source) -> Diagnostic {
    let causes = std::iter::successors(error.as_inner().source(), |&cause| cause.source());
    let notes: Vec<String> = causes.map(ToString::to_string).collect();
    let labels = error.spans().map(|(span, description)| {
        // naga labels what has no words of its own with a Rust type and an index.
        let message = if description.starts_with("naga::") { "" } else { description };
        source.label(span.to_range().unwrap_or_default(), message)
    });
    let labels = labels.collect();
    imported(Diagnostic { message: error.as_inner().to_string(), labels, notes }, source)
}

/// Adds which shader was being built, where the mistake lies in a file that it imports.
fn imported(diagnostic: Diagnostic, source: &Source) -> Diagnostic {
    match diagnostic.labels.first() {
        Some(label) if label.path == source.root() => diagnostic,
        _ => diagnostic.note(format!("while building {}", source.root().display())),
    }
}
