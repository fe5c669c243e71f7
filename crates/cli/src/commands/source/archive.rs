//! Archives of data sets: `.tar` or `.tar.gz`, unpacked once and kept.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use kiln::data;
use sha2::{Digest, Sha256};
use tar::EntryType;

use crate::error::Error;

/// The folder that holds what is in an archive. It lies in the folder of data sets, for as long as path, size and time
/// of the archive stay the same, and appears whole or not at all.
pub fn unpacked(archive: &Path) -> Result<PathBuf, Error> {
    let folder = data::folder("archives")?;
    into(archive, &folder)
}

fn into(archive: &Path, parent: &Path) -> Result<PathBuf, Error> {
    let target = parent.join(key(archive)?);
    if target.is_dir() {
        return Ok(target);
    }
    std::fs::create_dir_all(parent).map_err(Error::file("create the folder", parent))?;
    let staged = tempfile::Builder::new().prefix(".kiln-").tempdir_in(parent);
    let staged = staged.map_err(Error::file("create a folder in", parent))?;
    unpack(archive, staged.path())?;
    std::fs::rename(staged.path(), &target).map_err(Error::file("create the folder", &target))?;
    let _ = staged.keep(); // it has another name now
    Ok(target)
}

/// A name for what an archive holds now.
fn key(archive: &Path) -> Result<String, Error> {
    let read = Error::file("read", archive);
    let path = std::path::absolute(archive).map_err(Error::file("read", archive))?;
    let data = archive.metadata().map_err(read)?;
    let text = format!("{} {} {:?}", path.display(), data.len(), data.modified().ok());
    let hash: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(format!("{name}-{hash}"))
}

/// Unpacks files and folders; links and the like are passed over.
fn unpack(archive: &Path, into: &Path) -> Result<(), Error> {
    let failed = |error| Error::file("unpack", archive)(error);
    let file = File::open(archive).map_err(Error::file("read", archive))?;
    let bar = bar(archive, file.metadata().map_or(0, |data| data.len()));
    let mut bytes = BufReader::new(bar.wrap_read(file));
    let packed = bytes.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let contents: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) };
    for entry in tar::Archive::new(contents).entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(Error::Outside { archive: archive.to_owned(), path });
        }
        if matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Directory) {
            entry.unpack_in(into).map_err(failed)?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn bar(archive: &Path, bytes: u64) -> ProgressBar {
    let template = "unpacking {prefix} [{wide_bar}] {bytes}/{total_bytes}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ProgressBar::new(bytes).with_style(style.progress_chars("=>.")).with_prefix(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use flate2::{Compression, write::GzEncoder};
    use tempfile::{TempDir, tempdir};

    use super::*;

    /// An archive of files with these names, each of which holds its name.
    fn archive(folder: &TempDir, names: &[&str]) -> PathBuf {
        let path = folder.path().join("set.tar.gz");
        let mut builder = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        for name in names {
            let mut header = tar::Header::new_gnu();
            // Not by `set_path`, which takes no path that leads outside.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(name.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, name.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        path
    }

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
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
    fn another_archive_of_the_same_name_is_unpacked_beside_it() {
        let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
        let first = into(&archive(&from, &["a"]), parent.path()).unwrap();
        let second = into(&archive(&from, &["a", "b", "c/d"]), parent.path()).unwrap();
        assert_ne!(first, second);
        assert!(second.join("c/d").exists());
    }

    #[test]
    fn a_path_that_leads_outside_is_an_error_and_leaves_nothing() {
        for name in ["../out", "a/../../out", "/out"] {
            let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
            let path = archive(&from, &["a", name]);
            let error = into(&path, parent.path()).unwrap_err().to_string();
            assert_eq!(error, format!("{}: expected paths inside the archive, found {name}", path.display()));
            assert_eq!((count(parent.path()), count(from.path())), (0, 1));
        }
    }

    #[test]
    fn an_archive_cut_short_is_an_error_and_leaves_nothing() {
        let (from, parent) = (tempdir().unwrap(), tempdir().unwrap());
        let path = archive(&from, &["a", "b"]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(into(&path, parent.path()).is_err());
        assert_eq!(count(parent.path()), 0);
        std::fs::write(&path, "no archive").unwrap();
        let error = into(&path, parent.path()).unwrap_err().to_string();
        assert_eq!(error, format!("cannot unpack {}", path.display()));
    }
}
