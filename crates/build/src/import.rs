//! Directives that extend WGSL: `#import name` includes the text of `lib/name.wgsl`; `#gpu_only` marks an entry point
//! without native code; `#quads` marks one that is also built in quads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::source::{File, Source, label};
use crate::{Diagnostic, Label};

/// A directive above an entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    /// Only GPUs run the entry point.
    GpuOnly,
    /// There is a form in quads.
    Quads,
}

impl Directive {
    pub(crate) const ALL: [Directive; 2] = [Directive::GpuOnly, Directive::Quads];

    /// The directive's line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Directive::GpuOnly => "#gpu_only",
            Directive::Quads => "#quads",
        }
    }
}

/// A form of a shader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As written.
    Values,
    /// With `lib/NAME_quads.wgsl` in place of `lib/NAME.wgsl` where there is one: values are quads.
    Quads,
}

/// The files that shaders can import, by stem.
pub(crate) type Library = BTreeMap<String, Arc<File>>;

/// Expands every import at its first occurrence.
pub(crate) fn assemble(file: &Arc<File>, library: &Library, form: Form) -> Result<Source, Diagnostic> {
    let source = Source::new(file);
    let mut assembler = Assembler { library, form, source, imported: BTreeSet::new(), open: Vec::new() };
    assembler.append(file)?;
    Ok(assembler.source)
}

struct Assembler<'a> {
    library: &'a Library,
    form: Form,
    source: Source,
    imported: BTreeSet<&'a str>,
    /// The imports being expanded, outermost first.
    open: Vec<&'a str>,
}

impl<'a> Assembler<'a> {
    fn append(&mut self, file: &Arc<File>) -> Result<(), Diagnostic> {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(directive) = Directive::ALL.into_iter().find(|directive| line.trim() == directive.name()) {
                self.source.mark(directive);
                self.source.push(&format!("// {}", directive.name()), file, index + 1);
                continue;
            }
            let Some(name) = import(line) else {
                self.source.push(line, file, index + 1);
                continue;
            };
            let end = line.trim_end().len();
            let (stem, imported) = self.find(name, label(file, index + 1, end - name.len()..end, ""))?;
            self.source.push(&format!("// {}", line.trim()), file, index + 1);
            if self.imported.insert(stem) {
                self.open.push(stem);
                self.append(imported)?;
                self.open.pop();
            }
        }
        Ok(())
    }

    fn find(&self, name: &str, at: Label) -> Result<(&'a str, &'a Arc<File>), Diagnostic> {
        let in_quads = match self.form {
            Form::Values => None,
            Form::Quads => self.library.get_key_value(&format!("{name}_quads")),
        };
        let Some((stem, file)) = in_quads.or_else(|| self.library.get_key_value(name)) else {
            let there: Vec<&str> = self.library.keys().map(String::as_str).collect();
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            let message = format!("expected the name of a file in `lib/`, without `.wgsl`, found `{name}`");
            return Err(Diagnostic::new(message, at).note(format!("`lib/` contains {there}")));
        };
        if let Some(first) = self.open.iter().position(|&open| open == stem) {
            let circle: Vec<&str> = self.open[first..].iter().copied().chain([stem.as_str()]).collect();
            return Err(Diagnostic::new(format!("circular import: {}", circle.join(" -> ")), at));
        }
        Ok((stem, file))
    }
}

/// The name that this line imports, if it is an `#import` line.
fn import(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("#import")?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}
