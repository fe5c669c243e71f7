//! The comments of a shader's declarations, from which the generated Rust is documented.

use std::ops::Range;

use crate::import::Directive;

/// The comment lines at the start of the text, up to the first import, without their slashes.
pub(crate) fn leading(text: &str) -> Vec<String> {
    text.lines().map_while(comment).take_while(|line| !line.starts_with("#import")).map(str::to_owned).collect()
}

/// The trailing comment of a declaration, on its last line.
pub(crate) fn trailing(text: &str, declaration: Range<usize>) -> Option<String> {
    let rest = text.get(declaration.end..)?.lines().next()?;
    behind(rest)
}

/// The comment lines directly above a function's attributes.
pub(crate) fn above(text: &str, function: Range<usize>) -> Vec<String> {
    let comments = text.get(head(text, function)).unwrap_or_default().lines().filter_map(comment);
    comments
        .filter(|line| !Directive::ALL.iter().any(|directive| directive.name() == *line))
        .map(str::to_owned)
        .collect()
}

/// The bytes of the comment lines and the attributes directly above a function.
pub(crate) fn head(text: &str, function: Range<usize>) -> Range<usize> {
    let before = text.get(..function.start).unwrap_or_default();
    let mut lines = before.split_inclusive('\n').rev().peekable();
    let mut start = function.start;
    if let Some(indentation) = lines.next_if(|line| line.trim().is_empty() && !line.ends_with('\n')) {
        start -= indentation.len();
    }
    while let Some(attributes) = lines.next_if(|line| line.trim_start().starts_with('@')) {
        start -= attributes.len();
    }
    while let Some(comments) = lines.next_if(|line| comment(line).is_some()) {
        start -= comments.len();
    }
    start..function.start
}

/// The trailing comment of a struct's member, if no other member shares its line.
pub(crate) fn behind_member(text: &str, member: Range<usize>) -> Option<String> {
    let rest = text.get(member.end..)?.lines().next()?;
    let alone = |code: &str| code.matches(':').count() == 1 && !code.contains('}');
    rest.split_once("//").filter(|(code, _)| alone(code)).and_then(|_| behind(rest))
}

/// The bytes of a member's name in the declaration of its struct.
pub(crate) fn member(text: &str, declaration: Range<usize>, name: &str) -> Option<Range<usize>> {
    let members = text.get(declaration.clone())?;
    members.match_indices(name).find_map(|(at, _)| {
        let (before, after) = (members.get(..at)?, members.get(at + name.len()..)?);
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let start = declaration.start + at;
        (whole && after.trim_start().starts_with(':')).then_some(start..start + name.len())
    })
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
