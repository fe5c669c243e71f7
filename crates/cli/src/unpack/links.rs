//! Links in an archive, each unpacked as a copy of its target.

use std::path::{Component, Path, PathBuf};

use super::Taken;
use crate::error::Error;

/// A link of an archive to a member of it.
#[derive(Debug)]
pub struct Link {
    path: PathBuf,
    /// The target, relative to the root of the archive.
    target: PathBuf,
    /// The target as written in the archive.
    written: PathBuf,
}

impl Link {
    /// A hard link, whose target is relative to the root of the archive, or a symbolic link, whose target is relative
    /// to its folder.
    ///
    /// # Errors
    /// If its target is outside of the archive.
    pub fn new(archive: &Path, path: PathBuf, written: PathBuf, is_symbolic: bool) -> Result<Link, Error> {
        let folder = path.parent().filter(|_| is_symbolic).unwrap_or(Path::new(""));
        match normal(&folder.join(&written)) {
            Some(target) => Ok(Link { path: normal(&path).unwrap_or_default(), target, written }),
            None => Err(Error::Archive {
                archive: archive.to_owned(),
                problem: format!("expected links to members of the archive, found {}", words(&path, &written)),
            }),
        }
    }

    fn words(&self) -> String {
        words(&self.path, &self.written)
    }

    /// Whether its target is complete before `others` are copied: it is not one of them and contains none.
    fn is_ready(&self, into: &Path, others: &[Link]) -> bool {
        into.join(&self.target).exists() && !others.iter().any(|other| other.path.starts_with(&self.target))
    }
}

fn words(path: &Path, target: &Path) -> String {
    format!("{} -> {}", path.display(), target.display())
}

/// Normalises a path without `.` and `..`, if it stays inside.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir if parts.pop() => {}
            _ => return None,
        }
    }
    Some(parts)
}

/// Copies the targets of links, which may be links themselves, to the links' paths.
///
/// # Errors
/// If a target is missing, is a link cycle or contains the link, another member has the path of a link, or the copies
/// exceed the limits.
pub fn copy(mut links: Vec<Link>, into: &Path, taken: &mut Taken<'_>) -> Result<(), Error> {
    // A file archived twice is a link to itself the second time.
    links.retain(|link| link.path != link.target || !into.join(&link.path).exists());
    while !links.is_empty() {
        let Some(next) = (0..links.len()).find(|&next| links[next].is_ready(into, &links)) else {
            let problem = format!("expected links to members of the archive, found {}", links[0].words());
            return Err(Error::Archive { archive: taken.archive.to_owned(), problem });
        };
        let link = links.swap_remove(next);
        let place = into.join(&link.path);
        if place.exists() {
            let problem = format!("expected one member of each name, found {} beside another one", link.words());
            return Err(Error::Archive { archive: taken.archive.to_owned(), problem });
        }
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file("create the folder", folder))?;
        }
        copy_member(&into.join(&link.target), &place, taken)?;
    }
    Ok(())
}

/// Copies a file or a folder with its contents.
fn copy_member(from: &Path, to: &Path, taken: &mut Taken<'_>) -> Result<(), Error> {
    let bytes = std::fs::symlink_metadata(from).map_err(Error::file("read", from))?.len();
    if !from.is_dir() {
        taken.add(bytes)?;
        return std::fs::copy(from, to).map(|_| ()).map_err(Error::file("write", to));
    }
    taken.add(0)?;
    let entries: Result<Vec<_>, _> = std::fs::read_dir(from).and_then(Iterator::collect);
    std::fs::create_dir(to).map_err(Error::file("create the folder", to))?;
    for entry in entries.map_err(Error::file("read", from))? {
        copy_member(&entry.path(), &to.join(entry.file_name()), taken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use tar::EntryType;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::unpack::{Limits, unpack};

    /// Unpacks an archive with these members: a name, a type, and the contents of a file or the target of a link.
    fn unpacked(members: &[(&str, EntryType, &str)]) -> Result<TempDir, String> {
        let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, text) in members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            let contents = if *kind == EntryType::Regular { *text } else { "" };
            header.set_size(contents.len() as u64);
            match kind {
                EntryType::Link | EntryType::Symlink => builder.append_link(&mut header, name, text).unwrap(),
                _ => builder.append_data(&mut header, name, contents.as_bytes()).unwrap(),
            }
        }
        let path = from.path().join("set.tar");
        std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
        match unpack(&path, into.path()) {
            Ok(()) => Ok(into),
            Err(error) => Err(error.to_string().replace(&format!("{}: ", path.display()), "")),
        }
    }

    const FILE: EntryType = EntryType::Regular;
    const FOLDER: EntryType = EntryType::Directory;
    const HARD: EntryType = EntryType::Link;
    const SYMBOLIC: EntryType = EntryType::Symlink;

    #[test]
    fn links_to_members_are_copies_of_them() {
        let folder = unpacked(&[
            ("cat", FOLDER, ""),
            ("cat/last.png", SYMBOLIC, "more.png"),
            ("cat/1.png", FILE, "one"),
            ("cat/2.png", HARD, "./cat/1.png"),
            ("cat/more.png", SYMBOLIC, "../cat/2.png"),
            ("dog", SYMBOLIC, "cat"),
            ("new/deep/3.png", HARD, "cat/1.png"),
        ])
        .unwrap();
        for name in ["cat/1.png", "cat/2.png", "cat/more.png", "cat/last.png", "dog/last.png", "new/deep/3.png"] {
            let path = folder.path().join(name);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "one", "{name}");
            assert!(path.symlink_metadata().unwrap().is_file(), "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path().join("dog")).unwrap().count(), 4);
    }

    #[test]
    fn links_that_lead_outside_or_nowhere_are_named() {
        for (name, kind, target) in [
            ("a/out", SYMBOLIC, "../../secret"),
            ("out", SYMBOLIC, "/etc/passwd"),
            ("out", HARD, "../secret"),
            ("out", HARD, "/etc/passwd"),
            ("none", SYMBOLIC, "missing.png"),
            ("none", HARD, "missing.png"),
            ("itself", SYMBOLIC, "itself"),
            ("a/folder", SYMBOLIC, "../a"),
        ] {
            let error = unpacked(&[("a/1.png", FILE, "one"), (name, kind, target)]).unwrap_err();
            assert_eq!(error, format!("expected links to members of the archive, found {name} -> {target}"));
        }
        let error = unpacked(&[("1", FILE, "one"), ("2", FILE, "two"), ("2", HARD, "1")]).unwrap_err();
        assert_eq!(error, "expected one member of each name, found 2 -> 1 beside another one");
    }

    #[test]
    fn a_file_that_is_packed_twice_is_there_once() {
        let folder = unpacked(&[("cat/1.png", FILE, "one"), ("cat/1.png", HARD, "cat/1.png")]).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("cat/1.png")).unwrap(), "one");
    }

    #[test]
    fn links_to_each_other_are_an_error() {
        let error = unpacked(&[("a", SYMBOLIC, "b"), ("b", SYMBOLIC, "a")]).unwrap_err();
        assert!(error.starts_with("expected links to members of the archive, found "), "{error}");
    }

    #[test]
    fn copies_count_in_the_limits() {
        let folder = tempdir().unwrap();
        std::fs::create_dir(folder.path().join("f0")).unwrap();
        std::fs::write(folder.path().join("f0/1"), "one").unwrap();
        // Folders with two links to the previous one.
        let double = |i: usize| ["a", "b"].map(|half| (format!("f{i}/{half}"), format!("../f{}", i - 1)));
        let archive = Path::new("set.tar");
        let link = |(path, target): (String, String)| Link::new(archive, path.into(), target.into(), true).unwrap();
        let links: Vec<Link> = (1..=30).flat_map(double).map(link).collect();
        let limits = Limits { archive: 1000, ratio: 1_000_000, disk: u64::MAX };
        let error = copy(links, folder.path(), &mut Taken { archive, limits, bytes: 0 }).unwrap_err().to_string();
        assert!(error.starts_with("set.tar: expected at most 1 MB from an archive of 1 MB, found more"), "{error}");
    }
}
