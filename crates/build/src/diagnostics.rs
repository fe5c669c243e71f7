//! What is wrong with a shader, and where: file, line, the line itself and a caret under the place.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What can go wrong between a folder of shaders and Rust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The generated file cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder holds no shader.
    #[error("{} holds no shader; expected at least one file `NAME.wgsl`", .dir.display())]
    NoShaders {
        /// The folder.
        dir: PathBuf,
    },
    /// Cargo did not say where to put what is generated.
    #[error("OUT_DIR is not set; call `Builder::build` from a build script")]
    NoOutDir,
    /// Some shaders are not what Kiln can run.
    #[error("{}", blocks(.diagnostics))]
    Shaders {
        /// One per mistake, in order of file.
        diagnostics: Vec<Diagnostic>,
    },
}

/// One mistake in a shader. `Display` gives it as rustc would, over several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, and what was expected.
    pub message: String,
    /// Where, the most important place first.
    pub labels: Vec<Label>,
    /// What else helps.
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
    /// The file on disk, the imported one where the place lies in an import.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The number of characters meant, within this line.
    pub width: usize,
    /// The whole line.
    pub text: String,
    /// What the place has to do with the mistake; may be empty.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let gutter = self.labels.iter().map(|label| label.line.to_string().len()).max().unwrap_or(1);
        for label in &self.labels {
            // Tabs stay tabs, so that the caret stands under its place however wide the terminal draws them.
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
