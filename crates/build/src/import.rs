//! Directives that extend WGSL: `#import name` includes the text of `lib/name.wgsl`; `#gpu_only` marks an entry point
//! without native code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::source::{File, Source, label};
use crate::{Diagnostic, Label};

/// The directive above an entry point that only GPUs run.
pub(crate) const GPU_ONLY: &str = "#gpu_only";

/// The files that shaders can import, by stem.
pub(crate) type Library = BTreeMap<String, Arc<File>>;

/// Expands every import at its first occurrence.
pub(crate) fn assemble(file: &Arc<File>, library: &Library) -> Result<Source, Diagnostic> {
    let mut assembler = Assembler { library, source: Source::new(file), imported: BTreeSet::new(), open: Vec::new() };
    assembler.append(file)?;
    Ok(assembler.source)
}

struct Assembler<'a> {
    library: &'a Library,
    source: Source,
    imported: BTreeSet<&'a str>,
    /// The imports being expanded, outermost first.
    open: Vec<&'a str>,
}

impl<'a> Assembler<'a> {
    fn append(&mut self, file: &Arc<File>) -> Result<(), Diagnostic> {
        for (index, line) in file.text.lines().enumerate() {
            if line.trim() == GPU_ONLY {
                self.source.mark_gpu_only();
                self.source.push(&format!("// {GPU_ONLY}"), file, index + 1);
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
        let Some((stem, file)) = self.library.get_key_value(name) else {
            let there: Vec<&str> = self.library.keys().map(String::as_str).collect();
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            let message = format!("expected the name of a file in `lib/`, without `.wgsl`, found `{name}`");
            return Err(Diagnostic::new(message, at).note(format!("`lib/` contains {there}")));
        };
        if let Some(first) = self.open.iter().position(|&open| open == name) {
            let circle: Vec<&str> = self.open[first..].iter().copied().chain([name]).collect();
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
