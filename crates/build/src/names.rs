//! WGSL's names and comments as Rust.

/// The struct name of an entry point: `InputGradient` for `input_gradient`.
pub(crate) fn struct_name(entry_point: &str) -> String {
    entry_point
        .split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters)
        })
        .collect()
}

/// Escapes a plain-text comment as Markdown.
pub(crate) fn escape(comment: &str) -> String {
    let mut in_code = false;
    let mut escaped = String::with_capacity(comment.len());
    for c in comment.chars() {
        in_code ^= c == '`';
        if !in_code && matches!(c, '[' | ']' | '<' | '>' | '*' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The number signs that a raw string of this text needs.
pub(crate) fn fence(text: &str) -> String {
    let longest = text.split('"').skip(1).map(|rest| rest.len() - rest.trim_start_matches('#').len() + 1).max();
    "#".repeat(longest.unwrap_or(1))
}

/// The name as a Rust identifier.
pub(crate) fn ident(name: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
        "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
        "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type",
        "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    ];
    if KEYWORDS.contains(&name) { format!("r#{name}") } else { name.to_owned() }
}
