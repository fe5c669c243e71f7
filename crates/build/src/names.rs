//! WGSL's names and comments as Rust writes them.

/// The struct that stands for an entry point: `input_gradient` gives `InputGradient`.
pub(crate) fn struct_name(entry_point: &str) -> String {
    entry_point
        .split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters)
        })
        .collect()
}

/// Comments are plain text, documentation is Markdown.
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

/// As many `#` as a raw string of this text needs.
pub(crate) fn fence(text: &str) -> String {
    let longest = text.split('"').skip(1).map(|rest| rest.len() - rest.trim_start_matches('#').len() + 1).max();
    "#".repeat(longest.unwrap_or(1))
}

/// The name as Rust writes it.
pub(crate) fn ident(name: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
        "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
        "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type",
        "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    ];
    if KEYWORDS.contains(&name) { format!("r#{name}") } else { name.to_owned() }
}
