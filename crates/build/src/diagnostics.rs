//! Mistakes in shaders, shown with file, line, the source line and a caret below the position.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The errors of compiling a folder of shaders to Rust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The generated file cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder contains no shader.
    #[error("{} contains no shader; expected at least one file `NAME.wgsl`", .dir.display())]
    NoShaders {
        /// The folder.
        dir: PathBuf,
    },
    /// `OUT_DIR` is not set.
    #[error("OUT_DIR is not set; call `Builder::build` from a build script")]
    NoOutDir,
    /// Some shaders are invalid or break Kiln's conventions.
    #[error("{}", blocks(.diagnostics))]
    Shaders {
        /// One per mistake, ordered by file.
        diagnostics: Vec<Diagnostic>,
    },
}

/// One mistake in a shader. `Display` formats it like rustc, over several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The mistake.
    pub message: String,
    /// The places, most important first.
    pub labels: Vec<Label>,
    /// Further help.
    pub notes: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn new(message: impl Into<String>, label: Label) -> Diagnostic {
        Diagnostic { message: message.into(), labels: vec![label], notes: Vec::new() }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The file on disk; for imported lines, the imported file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The number of underlined characters on this line.
    pub width: usize,
    /// The whole line.
    pub text: String,
    /// The note shown at the place; may be empty.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let gutter = self.labels.iter().map(|label| label.line.to_string().len()).max().unwrap_or(1);
        for label in &self.labels {
            // Tabs stay tabs, so that the caret is aligned for every tab width.
            let before = label.text.chars().take(label.column.saturating_sub(1));
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let carets = "^".repeat(label.width.max(1));
            let pointer = format!("{indent}{carets} {}", label.message);
            write!(f, "\n{:gutter$}--> {}:{}:{}", "", label.path.display(), label.line, label.column)?;
            write!(f, "\n{:gutter$} |\n{:gutter$} | {}", "", label.line, label.text)?;
            write!(f, "\n{:gutter$} | {}", "", pointer.trim_end())?;
        }
        for note in &self.notes {
            write!(f, "\n{:gutter$} = note: {note}", "")?;
        }
        Ok(())
    }
}

fn blocks(diagnostics: &[Diagnostic]) -> String {
    let blocks: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    blocks.join("\n\n")
}
