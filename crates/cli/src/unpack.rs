//! Unpacks untrusted archives, `.tar` or `.tar.gz`, within limits.

mod links;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use tar::EntryType;

use self::links::Link;
use crate::error::Error;

/// The maximum compression ratio of an archive with more than [`SMALL`] unpacked bytes: photographs hardly compress,
/// and tensors and bitmaps seldom to a hundredth.
const RATIO: u64 = 100;
/// The unpacked size allowed for any archive, in bytes.
const SMALL: u64 = 256 << 20;
/// The disk space to keep free, in bytes.
const SPARE: u64 = 512 << 20;
/// The minimum disk space of a file, in bytes.
const BLOCK: u64 = 4096;
/// The maximum size of a file's headers in an archive, in bytes, such as its long name.
const HEADERS: u64 = 1 << 20;

/// The limits of an archive's unpacked size, in bytes.
#[derive(Clone, Copy, Debug)]
struct Limits {
    archive: u64,
    ratio: u64,
    disk: u64,
}

impl Limits {
    fn of(archive: u64, into: &Path) -> Result<Limits, Error> {
        let free = fs4::available_space(into).map_err(Error::file("look for free space in", into))?;
        let ratio = SMALL.max(archive.saturating_mul(RATIO));
        Ok(Limits { archive, ratio, disk: free.saturating_sub(SPARE) })
    }

    /// # Errors
    /// If `bytes` exceeds the limits.
    fn check(self, archive: &Path, bytes: u64) -> Result<(), Error> {
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        let problem = if bytes > self.ratio {
            format!(
                "expected at most {} MB from an archive of {} MB, found more, each file and folder counting as {BLOCK} bytes \
                 at least, as on a disk; unpack it yourself if you trust it, and pass the folder",
                megabytes(self.ratio),
                megabytes(self.archive)
            )
        } else if bytes > self.disk {
            format!(
                "expected files of at most {} MB, for which there is room on the disk, found {} MB and perhaps more; free \
                 some space, or set KILN_DATA to a folder on another disk",
                megabytes(self.disk),
                megabytes(bytes)
            )
        } else {
            return Ok(());
        };
        Err(Error::Archive { archive: archive.to_owned(), problem })
    }
}

/// Unpacks the files and folders of an archive to a folder. A link to a member becomes a copy of it; entries other than
/// files, folders and links are skipped with a warning.
///
/// # Errors
/// If the archive is damaged, names files outside of it, has a link to a missing member, or exceeds the limits of its
/// size or of the disk. Files unpacked before the error remain.
pub fn unpack(archive: &Path, into: &Path) -> Result<(), Error> {
    let failed = |error| Error::file("unpack", archive)(error);
    let file = File::open(archive).map_err(Error::file("read", archive))?;
    let size = file.metadata().map_err(Error::file("read", archive))?.len();
    let mut taken = Taken { archive, limits: Limits::of(size, into)?, bytes: 0 };
    let bar = bar(archive, size);
    let mut bytes = BufReader::new(bar.wrap_read(file));
    let packed = bytes.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let contents: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) };
    let allowed = Rc::new(Cell::new(HEADERS));
    let contents = Bounded { contents, allowed: allowed.clone() };
    let mut links = Vec::new();
    for (index, entry) in tar::Archive::new(contents).entries().map_err(failed)?.enumerate() {
        // The error of a file of another kind would quote its bytes.
        let is_other_kind = index == 0 && !packed;
        let mut entry = entry.map_err(|error| if is_other_kind { no_archive(archive) } else { failed(error) })?;
        let path = entry.path().map_err(failed)?.into_owned();
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(Error::Outside { archive: archive.to_owned(), path });
        }
        // Every entry is read, even if skipped, and then the headers of the next one.
        taken.add(entry.size())?;
        allowed.set(entry.size().saturating_add(HEADERS));
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Directory => {
                entry.unpack_in(into).map_err(failed)?;
            }
            EntryType::Link | EntryType::Symlink => {
                let target = entry.link_name().map_err(failed)?.unwrap_or_default().into_owned();
                let is_symbolic = entry.header().entry_type() == EntryType::Symlink;
                links.push(Link::new(archive, path, target, is_symbolic)?);
            }
            EntryType::XGlobalHeader => {} // metadata of the archive
            _ => bar.suspend(|| {
                let (archive, path) = (archive.display(), path.display());
                eprintln!("warning: left out: {archive}: {path}: neither a file, a folder nor a link");
            }),
        }
    }
    links::copy(links, into, &mut taken)?;
    bar.finish_and_clear();
    Ok(())
}

fn no_archive(archive: &Path) -> Error {
    let problem = "expected a folder or an archive, .tar or .tar.gz, found a file of another kind".to_owned();
    Error::Archive { archive: archive.to_owned(), problem }
}

/// The disk space used by an archive so far.
struct Taken<'a> {
    archive: &'a Path,
    limits: Limits,
    bytes: u64,
}

impl Taken<'_> {
    /// Adds a file of `bytes` bytes.
    ///
    /// # Errors
    /// If the total exceeds the limits.
    fn add(&mut self, bytes: u64) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes.max(BLOCK));
        self.limits.check(self.archive, self.bytes)
    }
}

/// A reader with a limit per entry, because tar keeps long names in memory.
struct Bounded<R> {
    contents: R,
    allowed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed.get();
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::other("expected the next file, found a header of more than 1 MiB"));
        }
        let most = buffer.len().min(usize::try_from(allowed).unwrap_or(usize::MAX));
        let count = self.contents.read(&mut buffer[..most])?;
        self.allowed.set(allowed - count as u64);
        Ok(count)
    }
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

    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tempfile::{TempDir, tempdir};

    use super::*;

    const LIMITS: Limits = Limits { archive: 1_000_000, ratio: 300_000_000, disk: 200_000_000 };

    #[test]
    fn more_than_the_ratio_or_the_disk_allows_is_an_error_that_says_what_to_do() {
        let check =
            |limits: Limits, bytes| limits.check(Path::new("a.tar.gz"), bytes).map_err(|error| error.to_string());
        assert_eq!(check(LIMITS, 200_000_000), Ok(()));
        let disk = check(LIMITS, 200_000_001).unwrap_err();
        assert!(disk.starts_with("a.tar.gz: expected files of at most 200 MB, for which there is room"), "{disk}");
        let ratio = check(Limits { disk: u64::MAX, ..LIMITS }, 300_000_001).unwrap_err();
        assert!(ratio.starts_with("a.tar.gz: expected at most 300 MB from an archive of 1 MB, found more"), "{ratio}");
        assert!(ratio.contains("each file and folder counting as 4096 bytes at least"), "{ratio}");
    }

    #[test]
    fn the_limits_of_an_archive_follow_from_its_size_and_the_disk() {
        let folder = tempdir().unwrap();
        assert_eq!(Limits::of(1000, folder.path()).unwrap().ratio, SMALL);
        assert_eq!(Limits::of(SMALL, folder.path()).unwrap().ratio, SMALL * RATIO);
        assert!(Limits::of(1000, folder.path()).unwrap().disk < 1 << 60);
    }

    /// A compressed archive of one entry of `bytes` zeros.
    fn bomb(folder: &TempDir, kind: EntryType, bytes: u64) -> std::path::PathBuf {
        let path = folder.path().join("bomb.tar.gz");
        let mut file = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        let mut header = tar::Header::new_gnu();
        header.set_path("a.bin").unwrap();
        header.set_entry_type(kind);
        header.set_size(bytes);
        header.set_mode(0o644);
        header.set_cksum();
        file.write_all(header.as_bytes()).unwrap();
        io::copy(&mut io::repeat(0).take(bytes), &mut file).unwrap();
        file.finish().unwrap();
        path
    }

    #[test]
    fn a_bomb_is_refused_before_its_file_is_written() {
        let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
        let error = unpack(&bomb(&from, EntryType::Regular, SMALL + 1), into.path()).unwrap_err().to_string();
        assert!(error.contains("expected at most 269 MB from an archive of"), "{error}");
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_long_name_without_end_takes_no_memory() {
        let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
        let error = unpack(&bomb(&from, EntryType::GNULongName, 100 << 20), into.path()).unwrap_err();
        let error = crate::error::chain(&error);
        assert!(error.contains("found a header of more than 1 MiB"), "{error}");
    }
}
