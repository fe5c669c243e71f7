//! What the comments of a shader say about its declarations, for the documentation of the Rust that is generated.

use std::ops::Range;

/// The comment lines with which the text starts, without their slashes.
pub(crate) fn leading(text: &str) -> Vec<String> {
    text.lines().map_while(comment).map(str::to_owned).collect()
}

/// The comment behind a declaration, on the line on which it ends.
pub(crate) fn trailing(text: &str, declaration: Range<usize>) -> Option<String> {
    let rest = text.get(declaration.end..)?.lines().next()?;
    behind(rest)
}

/// The comment lines directly above a function's attributes.
pub(crate) fn above(text: &str, function: Range<usize>) -> Vec<String> {
    let before = text.get(..function.start).unwrap_or_default();
    let lines = before.lines().rev().skip_while(|line| line.trim_start().starts_with('@'));
    let mut comments: Vec<String> = lines.map_while(comment).map(str::to_owned).collect();
    comments.reverse();
    comments
}

/// The comment behind a member of a struct that has a line of its own.
pub(crate) fn member(text: &str, declaration: Range<usize>, member: &str) -> Option<String> {
    let lines = text.get(declaration)?.lines();
    let mut rests = lines.filter_map(|line| line.trim_start().strip_prefix(member));
    behind(rests.find(|rest| rest.trim_start().starts_with(':'))?)
}

/// The bytes of `fn NAME` in the text.
pub(crate) fn function(text: &str, name: &str) -> Option<Range<usize>> {
    text.match_indices("fn ").find_map(|(start, keyword)| {
        let rest = text.get(start + keyword.len()..)?;
        let at = start + keyword.len() + (rest.len() - rest.trim_start().len());
        let after = text.get(at..)?.strip_prefix(name)?;
        after.trim_start().starts_with('(').then_some(start..at + name.len())
    })
}

fn comment(line: &str) -> Option<&str> {
    let text = line.trim().strip_prefix("//")?;
    Some(text.trim_start_matches('/').trim())
}

fn behind(rest: &str) -> Option<String> {
    let (_, text) = rest.split_once("//")?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
