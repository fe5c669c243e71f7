//! One shader: source, naga module and reflection.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use naga::WithSpan;
use naga::valid::{Capabilities, ModuleInfo, ValidationError, ValidationFlags, Validator};

use crate::Diagnostic;
use crate::import::{Form, Library, assemble};
use crate::reflect::{Reflection, reflect};
use crate::source::{File, Source};

/// A valid shader that follows Kiln's conventions.
#[derive(Debug)]
pub struct Shader {
    /// The file's stem: `conv2d`; of a form in quads `conv2d_quads`.
    pub name: String,
    /// The name of the shader of which this is the form in quads: some of its entry points, for GPUs.
    pub quads_of: Option<String>,
    /// The text with its imports expanded, and the origin of its lines.
    pub source: Source,
    /// The text as naga's intermediate representation. Its spans are bytes of [`Source::text`].
    pub module: naga::Module,
    /// The result of naga's validation of `module`.
    pub info: ModuleInfo,
    /// Its interface.
    pub reflection: Reflection,
}

/// The capabilities of every WebGPU device, and subgroups, which most have: kernels with subgroups have files of their
/// own, which ops select by `Limits::subgroup_sizes`.
const WEBGPU: Capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32.union(Capabilities::SUBGROUP);

/// A line of the files of kernels with cooperative matrices, which ops select by `Limits::cooperative_matrices`.
const COOPERATIVE: &str = "enable wgpu_cooperative_matrix;";

/// The capabilities that a shader may need.
fn capabilities(text: &str) -> Capabilities {
    match text.lines().any(|line| line.trim() == COOPERATIVE) {
        true => WEBGPU.union(Capabilities::SHADER_FLOAT16).union(Capabilities::COOPERATIVE_MATRIX),
        false => WEBGPU,
    }
}

impl Shader {
    pub(crate) fn new(name: &str, file: &Arc<File>, library: &Library) -> Result<Shader, Diagnostic> {
        Shader::read(name, file, library, Form::Values).map_err(|mistake| match mistake.labels.first() {
            Some(label) if label.path == file.path => mistake,
            _ => mistake.note(format!("while building {}", file.path.display())),
        })
    }

    /// The form in quads of the entry points that are marked `#quads`, if any.
    pub(crate) fn in_quads(&self, file: &Arc<File>, library: &Library) -> Result<Option<Shader>, Diagnostic> {
        if !self.reflection.entry_points.iter().any(|entry_point| entry_point.quads) {
            return Ok(None);
        }
        let building = format!("while building {} in quads", file.path.display());
        let mut shader = Shader::read(&format!("{}_quads", self.name), file, library, Form::Quads)
            .map_err(|mistake| mistake.note(building.clone()))?;
        shader.quads_of = Some(self.name.clone());
        shader.reflection.entry_points.retain(|entry_point| entry_point.quads);
        shader.reflection.entry_points.iter_mut().for_each(|entry_point| entry_point.gpu_only = true);
        let same = shader.reflection.structs == self.reflection.structs
            && shader.reflection.overrides == self.reflection.overrides;
        if !same {
            let label = shader.source.label(0..0, "expected the same parameters and overrides in both forms");
            let message = format!("`{}` has other parameters or overrides in quads", self.name);
            return Err(Diagnostic::new(message, label).note(building));
        }
        Ok(Some(shader))
    }

    fn read(name: &str, file: &Arc<File>, library: &Library, form: Form) -> Result<Shader, Diagnostic> {
        let source = assemble(file, library, form)?;
        let module = naga::front::wgsl::parse_str(source.text()).map_err(|error| parse_error(&error, &source))?;
        let info = Validator::new(ValidationFlags::all(), capabilities(source.text()))
            .validate(&module)
            .map_err(|error| validation_error(&error, &source))?;
        let reflection = reflect(&module, &info, &source)?;
        Ok(Shader { name: name.to_owned(), quads_of: None, source, module, info, reflection })
    }
}

fn parse_error(error: &naga::front::wgsl::ParseError, source: &Source) -> Diagnostic {
    let labels = error.labels().map(|(span, message)| {
        // Some of naga's labels repeat its message.
        let message = if message == error.message() { "" } else { message };
        source.label(span.to_range().unwrap_or_default(), message)
    });
    let labels = labels.collect();
    Diagnostic { message: error.message().to_owned(), labels, notes: error.notes().map(str::to_owned).collect() }
}

/// The innermost cause at the narrowest place, with its context as notes.
fn validation_error(error: &WithSpan<ValidationError>, source: &Source) -> Diagnostic {
    let causes = std::iter::successors(Some(error.as_inner() as &dyn Error), |&cause| cause.source());
    let mut notes: Vec<String> = causes.map(|cause| without_handles(&cause.to_string())).collect();
    let message = notes.pop().unwrap_or_default();
    notes.reverse();
    notes.retain(|note| !note.contains("''")); // a context without a name

    let spans = error.spans().filter_map(|(span, description)| Some((span.to_range()?, description.as_str())));
    // naga labels some spans with the name of a Rust type.
    let mut spans: Vec<_> = spans.map(|(at, what)| (at, if what.starts_with("naga::") { "" } else { what })).collect();
    spans.sort_by_key(|(at, what)| (at.len(), what.is_empty()));
    if let Some((narrowest, _)) = spans.first().cloned() {
        spans.retain(|(at, what)| *at == narrowest || !what.is_empty());
        spans.dedup_by(|(later, _), (earlier, _)| later == earlier);
    } else if let Some(at) = quoted(&message, source.text()) {
        spans.push((at, ""));
    }
    let labels = spans.into_iter().map(|(at, what)| source.label(at, what)).collect();
    Diagnostic { message, labels, notes }
}

/// naga's message without handle indices: ` [3]`, ` Some([3])`.
fn without_handles(message: &str) -> String {
    let is_handle = |word: &str| {
        let word = word.strip_prefix("Some(").and_then(|word| word.strip_suffix(')')).unwrap_or(word);
        let digits = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    message.split(' ').filter(|word| !is_handle(word)).collect::<Vec<_>>().join(" ")
}

/// The position of the first word quoted in the message: types have no span of their own.
fn quoted(message: &str, text: &str) -> Option<Range<usize>> {
    let word = message.split('`').nth(1)?;
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = text.match_indices(word).map(|(start, _)| start..start + word.len());
    places.find(|at| !text[..at.start].ends_with(joins) && !text[at.end..].starts_with(joins))
}
