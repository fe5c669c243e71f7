//! Installs Mesa's lavapipe with apt.

use std::path::{Path, PathBuf};

use crate::shell::{Result, Shell};

const SOURCES: &str = "/etc/apt/sources.list";
const SOURCE_PARTS: &str = "/etc/apt/sources.list.d";
/// The Debian release whose Mesa is too old.
const OLD: &str = "bookworm";

/// Installs lavapipe and the Vulkan loader. Returns false without apt or the permission to use it.
pub fn install_lavapipe(shell: &mut Shell) -> Result<bool> {
    if shell.output("apt-get --version").is_none() {
        return Ok(false);
    }
    let user = if shell.output("id -u").is_some_and(|id| id.trim() == "0") {
        "env"
    } else if shell.output("sudo --version").is_some() {
        "sudo env"
    } else {
        return Ok(false);
    };
    let (release, sources) = backports(shell)?;
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let apt = format!("{user} DEBIAN_FRONTEND=noninteractive apt-get");
    let install = format!("{apt} install --yes --no-install-recommends{release} mesa-vulkan-drivers libvulkan1");
    shell.run_with(&format!("{apt} update"), &sources, &[])?;
    shell.run_with(&install, &sources, &[])?;
    Ok(true)
}

/// On Debian 12, apt's option that prefers bookworm-backports, and the options that add it for one command, without
/// changing the system's list of sources.
fn backports(shell: &Shell) -> Result<(String, Vec<String>)> {
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !system.lines().any(|line| line == format!("VERSION_CODENAME={OLD}")) {
        return Ok((String::new(), Vec::new()));
    }
    let suite = format!("{OLD}-backports");
    let release = format!(" -t {suite}");
    let files = source_files();
    if files.iter().any(|(path, text)| entry(path, text, &suite, &suite).is_some()) {
        return Ok((release, Vec::new()));
    }
    let Some((path, entry)) = files.iter().find_map(|(path, text)| Some((path, entry(path, text, OLD, &suite)?)))
    else {
        return Err(format!("expected a source for {OLD} in {SOURCES} or {SOURCE_PARTS}, found none"));
    };

    let folder = shell.folder("sources.list.d")?;
    let write = |path: PathBuf, text: &str| {
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with(SOURCE_PARTS)) {
        write(folder.join(path.file_name().unwrap_or_default()), text)?;
    }
    write(folder.join("backports").with_extension(extension(path)), &entry)?;
    Ok((release, vec!["-o".to_owned(), format!("Dir::Etc::SourceParts={}", folder.display())]))
}

/// Path and text of each file of apt sources.
fn source_files() -> Vec<(PathBuf, String)> {
    let parts = std::fs::read_dir(SOURCE_PARTS).into_iter().flatten().flatten().map(|entry| entry.path());
    let wanted = parts.filter(|path| ["list", "sources"].contains(&extension(path)));
    std::iter::once(PathBuf::from(SOURCES))
        .chain(wanted)
        .filter_map(|path| std::fs::read_to_string(&path).ok().map(|text| (path, text)))
        .collect()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// The first entry for packages of a suite in a file of sources, with the suite replaced.
fn entry(path: &Path, text: &str, suite: &str, other: &str) -> Option<String> {
    if extension(path) == "sources" {
        text.split("\n\n").find_map(|stanza| stanza_for(stanza, suite, other))
    } else {
        text.lines().find_map(|line| line_for(line, suite, other))
    }
}

/// For `deb [options] URI suite components…`
fn line_for(line: &str, suite: &str, other: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let options_end = if rest.starts_with('[') { rest.find(']')? + 1 } else { 0 };
    let (options, rest) = rest.split_at(options_end);
    let mut words = rest.split_whitespace();
    let (uri, found) = (words.next()?, words.next()?);
    let components: Vec<&str> = words.collect();
    (found == suite).then(|| format!("deb {options} {uri} {other} {}\n", components.join(" ")))
}

/// For a paragraph of `Field: value` lines.
fn stanza_for(stanza: &str, suite: &str, other: &str) -> Option<String> {
    let fields: Vec<(&str, &str)> = stanza
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(':').filter(|_| !line.starts_with([' ', '\t'])).unwrap_or(("", line)))
        .collect();
    let has = |name: &str, word: &str| {
        fields
            .iter()
            .any(|(field, value)| field.eq_ignore_ascii_case(name) && value.split_whitespace().any(|w| w == word))
    };
    if !has("Types", "deb") || !has("Suites", suite) || has("Enabled", "no") {
        return None;
    }
    let lines = fields.iter().map(|(field, value)| match *field {
        "" => format!("{value}\n"),
        field if field.eq_ignore_ascii_case("Suites") => format!("Suites: {other}\n"),
        field if field.eq_ignore_ascii_case("Types") => "Types: deb\n".to_owned(),
        field => format!("{field}:{value}\n"),
    });
    Some(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backports_of(path: &str, text: &str) -> Option<String> {
        entry(Path::new(path), text, OLD, "bookworm-backports")
    }

    #[test]
    fn a_line_keeps_its_options_mirror_and_components() {
        let text = "# deb http://old.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
deb [arch=amd64 signed-by=/a.gpg]  http://mirror.example/debian  bookworm  main contrib
";
        assert_eq!(
            backports_of("sources.list", text).as_deref(),
            Some("deb [arch=amd64 signed-by=/a.gpg] http://mirror.example/debian bookworm-backports main contrib\n")
        );
    }

    #[test]
    fn a_stanza_keeps_all_but_its_suites() {
        let text = "Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
";
        assert_eq!(
            backports_of("debian.sources", text).as_deref(),
            Some(
                "Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
"
            )
        );
    }

    #[test]
    fn a_stanza_that_is_turned_off_does_not_count() {
        let text = "Enabled: no\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n";
        assert_eq!(backports_of("debian.sources", text), None);
    }

    #[test]
    fn sources_of_others_do_not_count() {
        assert_eq!(backports_of("node.list", "deb http://node.example nodistro main\n"), None);
        assert_eq!(backports_of("empty.list", ""), None);
    }
}
