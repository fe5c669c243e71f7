//! WGSL text with the origin of each line.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Label;
use crate::import::Directive;

/// A file on disk.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A place on one line of this file; `columns` counts bytes.
pub(crate) fn label(file: &File, line: usize, columns: Range<usize>, message: impl Into<String>) -> Label {
    let text = file.text.lines().nth(line - 1).unwrap_or_default();
    let start = columns.start.min(text.len());
    let end = columns.end.clamp(start, text.len());
    let characters = |bytes: Range<usize>| text.get(bytes).map_or(0, |part| part.chars().count());
    Label {
        path: file.path.clone(),
        line,
        column: characters(0..start) + 1,
        width: characters(start..end).max(1),
        text: text.to_owned(),
        message: message.into(),
    }
}

/// A shader with its imports expanded, and the origin of each line.
#[derive(Debug)]
pub struct Source {
    text: String,
    origins: Vec<(Arc<File>, usize)>,
    root: Arc<File>,
    /// The directives of entry points, and where their lines start, in bytes.
    directives: Vec<(Directive, usize)>,
}

impl Source {
    /// No lines yet; `root` is the kernel's own file.
    pub(crate) fn new(root: &Arc<File>) -> Source {
        Source { text: String::new(), origins: Vec::new(), root: root.clone(), directives: Vec::new() }
    }

    /// Marks the next line as this directive.
    pub(crate) fn mark(&mut self, directive: Directive) {
        self.directives.push((directive, self.text.len()));
    }

    /// The directives of entry points, and where their lines start, in bytes of [`Source::text`].
    pub(crate) fn directives(&self) -> &[(Directive, usize)] {
        &self.directives
    }

    /// Whether these bytes of [`Source::text`] contain a line with the directive.
    pub(crate) fn has(&self, directive: Directive, bytes: &Range<usize>) -> bool {
        self.directives.iter().any(|(found, line)| *found == directive && bytes.contains(line))
    }

    /// The stem of the file in `lib/` that this byte of [`Source::text`] comes from; `None` for the kernel's own file.
    pub(crate) fn library(&self, byte: usize) -> Option<&str> {
        let line = self.text.get(..byte).unwrap_or_default().matches('\n').count();
        let (file, _) = self.origins.get(line)?;
        if Arc::ptr_eq(file, &self.root) { None } else { file.path.file_stem()?.to_str() }
    }

    /// Appends a line that comes from line `line` (counted from 1) of `file`.
    pub(crate) fn push(&mut self, text: &str, file: &Arc<File>, line: usize) {
        self.text.push_str(text);
        self.text.push('\n');
        self.origins.push((file.clone(), line));
    }

    /// Legal WGSL: each directive is a comment, and imported text follows its `#import`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of these bytes of [`Source::text`] in their source file. A range over several lines is cut at the end
    /// of the first.
    pub fn label(&self, bytes: Range<usize>, message: impl Into<String>) -> Label {
        let end_of_text = self.text.len().saturating_sub(1);
        let start = bytes.start.min(end_of_text);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count();
        let (file, line) = self.origins.get(line).map_or((&self.root, 1), |(file, line)| (file, *line));
        label(file, line, start - line_start..bytes.end.max(start) - line_start, message)
    }
}
