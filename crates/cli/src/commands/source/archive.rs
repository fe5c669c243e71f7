//! Archives of data sets: `.tar` or `.tar.gz`, unpacked once and kept.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln::data;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::unpack::unpack;

/// The prefix of folders that are not complete yet.
const STAGED: &str = ".kiln-";
/// The file in an unpacked archive's folder that records the archive's size and time.
const STATE: &str = ".archive";

/// The folder of an unpacked archive, in the folder of data sets. It is replaced when the size or time of the archive
/// changes, and created atomically.
pub fn unpacked(archive: &Path) -> Result<PathBuf, Error> {
    let folder = data::folder("archives")?;
    into(archive, &folder)
}

fn into(archive: &Path, parent: &Path) -> Result<PathBuf, Error> {
    let (target, state) = (parent.join(name(archive)?), state(archive)?);
    let is_ready = || std::fs::read_to_string(target.join(STATE)).is_ok_and(|found| found == state);
    if is_ready() {
        return Ok(target);
    }
    std::fs::create_dir_all(parent).map_err(Error::file("create the folder", parent))?;
    let lock = parent.join(".lock");
    let file = File::create(&lock).map_err(Error::file("write", &lock))?;
    file.lock().map_err(Error::file("lock", &lock))?; // until it is dropped or the process ends
    if is_ready() {
        return Ok(target); // another process has unpacked it
    }
    remove_leftovers(parent);
    let stage = || tempfile::Builder::new().prefix(STAGED).tempdir_in(parent);
    let staged = stage().map_err(Error::file("create a folder in", parent))?;
    unpack(archive, staged.path())?;
    let mark = staged.path().join(STATE);
    std::fs::write(&mark, state).map_err(Error::file("write", &mark))?;
    // The previous contents are removed when `old` is dropped.
    let old = stage().map_err(Error::file("create a folder in", parent))?;
    if target.exists() {
        std::fs::rename(&target, old.path().join("old")).map_err(Error::file("replace", &target))?;
    }
    std::fs::rename(staged.path(), &target).map_err(Error::file("create the folder", &target))?;
    let _ = staged.keep(); // it has been renamed
    Ok(target)
}

/// Removes the leftovers of processes killed while unpacking. The lock must be held.
fn remove_leftovers(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for path in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(STAGED)).map(|e| e.path()) {
        // A leftover that cannot be removed only uses space.
        let _ = std::fs::remove_dir_all(path);
    }
}

/// The name of an archive's folder, derived from the archive's path.
fn name(archive: &Path) -> Result<String, Error> {
    let path = std::path::absolute(archive).map_err(Error::file("read", archive))?;
    let hash: String =
        Sha256::digest(path.display().to_string()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(format!("{name}-{hash}"))
}

/// The size and time of an archive as text.
fn state(archive: &Path) -> Result<String, Error> {
    let data = archive.metadata().map_err(Error::file("read", archive))?;
    Ok(format!("{} {:?}", data.len(), data.modified().ok()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use flate2::{Compression, write::GzEncoder};
    use tempfile::{TempDir, tempdir};

    use super::*;

    /// An archive of files with these names, whose contents are their names.
    fn archive(folder: &TempDir, names: &[&str]) -> PathBuf {
        let path = folder.path().join("set.tar.gz");
        let mut builder = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        for name in names {
            let mut header = tar::Header::new_gnu();
            // Not by `set_path`, which refuses paths that lead outside.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(name.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, name.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        path
    }

    /// The number of visible entries of a folder.
    fn count(folder: &Path) -> usize {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| !name.to_string_lossy().starts_with('.')).count()
    }

    /// The number of incomplete entries of a folder.
    fn staged(folder: &Path) -> usize {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(STAGED)).count()
    }

    #[test]
    fn an_archive_is_unpacked_once() {
        let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
        let path = archive(&from, &["train/cat/1.jpg", "./test/cat/2.jpg"]);
        let folder = into(&path, parent.path()).unwrap();
        assert_eq!(std::fs::read(folder.join("test/cat/2.jpg")).unwrap(), b"./test/cat/2.jpg");
        std::fs::write(folder.join("mark"), "").unwrap();
        assert!(into(&path, parent.path()).unwrap().join("mark").exists());
        assert_eq!(count(parent.path()), 1);
    }

    #[test]
    fn an_archive_that_changes_is_unpacked_in_place_of_what_it_was() {
        let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
        let first = into(&archive(&from, &["a"]), parent.path()).unwrap();
        let second = into(&archive(&from, &["b", "c/d"]), parent.path()).unwrap();
        assert_eq!((&first, count(parent.path()), staged(parent.path())), (&second, 1, 0));
        assert!(second.join("c/d").exists() && !second.join("a").exists());
    }

    #[test]
    fn archives_of_one_name_in_two_folders_do_not_meet() {
        let (here, there, parent) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
        let first = into(&archive(&here, &["a"]), parent.path()).unwrap();
        let second = into(&archive(&there, &["b"]), parent.path()).unwrap();
        assert!(first.join("a").exists() && second.join("b").exists() && first != second);
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
        std::fs::create_dir_all(parent.path().join(".kiln-half/train")).unwrap();
        into(&archive(&from, &["a"]), parent.path()).unwrap();
        assert_eq!((count(parent.path()), staged(parent.path())), (1, 0));
    }

    #[test]
    fn a_path_that_leads_outside_is_an_error_and_leaves_nothing() {
        for name in ["../out", "a/../../out", "/out"] {
            let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
            let path = archive(&from, &["a", name]);
            let error = into(&path, parent.path()).unwrap_err().to_string();
            assert_eq!(error, format!("{}: expected paths inside the archive, found {name}", path.display()));
            assert_eq!((count(parent.path()), staged(parent.path()), count(from.path())), (0, 0, 1));
        }
    }

    #[test]
    fn an_archive_cut_short_is_an_error_and_leaves_nothing() {
        let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
        let path = archive(&from, &["a", "b"]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(into(&path, parent.path()).is_err());
        assert_eq!((count(parent.path()), staged(parent.path())), (0, 0));
        std::fs::write(&path, "no archive").unwrap();
        let error = into(&path, parent.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("expected a folder or an archive, .tar or .tar.gz, found a file of another kind"),
            "{error}"
        );
    }
}
