//! Atomic file writes.
//!
//! A file is written in its folder under a hidden name (`.kiln-XXXXXX-NAME`), and renamed when it is complete. It is
//! locked while it is written, which distinguishes files of live processes from leftovers of killed ones; the next
//! process that writes to the folder removes leftovers.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use tempfile::{Builder, NamedTempFile};

/// The prefix of hidden names.
const PREFIX: &str = ".kiln-";
/// The number of random characters in a hidden name.
const RANDOM: usize = 6;
/// The maximum number of bytes of a file's name in its hidden name.
const MOST_OF_NAME: usize = 100;
/// The number of retries when another process removes the hidden file as abandoned.
const TRIES: usize = 8;

/// The folders that this process has cleaned of abandoned files.
static CLEANED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// Writes a file, replacing an existing one.
///
/// # Errors
/// If it cannot be written; an existing file stays unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut staged = stage(path)?;
    staged.write_all(bytes)?;
    publish(staged, path)
}

/// Creates a hidden file in the folder of `path`, to be written and then passed to [`publish`]. Its name has the same
/// ending as `path`. The first call for a folder removes leftovers of killed processes.
///
/// # Errors
/// If the folder is not writable.
pub fn stage(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let absolute = std::path::absolute(folder)?;
    if CLEANED.lock().unwrap_or_else(PoisonError::into_inner).insert(absolute) {
        remove_abandoned(folder);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let suffix = format!("-{}", &name[name.ceil_char_boundary(name.len().saturating_sub(MOST_OF_NAME))..]);
    let mut builder = Builder::new();
    builder.prefix(PREFIX).rand_bytes(RANDOM).suffix(&suffix);
    #[cfg(unix)]
    {
        // The usual permissions of new files, subject to the umask.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    for _ in 0..TRIES {
        let file = builder.tempfile_in(folder)?;
        match file.as_file().try_lock() {
            Ok(()) if file.path().exists() => return Ok(file),
            // Another process removed it as abandoned before it was locked.
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            // A file system without locks, where no file counts as abandoned.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
    Err(io::Error::other(format!("another process keeps removing the temporary files in {}", folder.display())))
}

/// Syncs a staged file to disk and renames it to `path`, replacing an existing file.
///
/// # Errors
/// If the disk is full or the file cannot be renamed; an existing file stays unchanged.
pub fn publish(staged: NamedTempFile, path: &Path) -> io::Result<()> {
    staged.as_file().sync_all()?;
    staged.persist(path)?;
    Ok(())
}

/// Removes the abandoned hidden files of a folder, ignoring errors.
fn remove_abandoned(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let hidden = entries.flatten().filter(|entry| is_hidden(&entry.file_name()));
    for entry in hidden.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())) {
        let path = entry.path();
        let abandoned = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if abandoned && std::fs::remove_file(&path).is_ok() {
            tracing::info!("removed {}, a leftover of a killed process", path.display());
        }
    }
}

/// Whether a name is from [`stage`], with or without the file's own name.
fn is_hidden(name: &OsStr) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { return false };
    let (random, rest) = rest.split_at_checked(RANDOM).unwrap_or(("", rest));
    !random.is_empty()
        && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && (rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in [".kiln-abcdef-weights.safetensors", ".kiln-ABC123", ".kiln-notes", ".kiln.lock", ".kiln-ab_def-x"]
        {
            std::fs::write(place(name), "").unwrap();
        }
        // Files of another process: the live one is locked while it is open.
        std::fs::write(place(".kiln-uvwxyz-live"), "").unwrap();
        let live = File::open(place(".kiln-uvwxyz-live")).unwrap();
        live.lock().unwrap();
        write(&place("x"), b"whole").unwrap();
        let kept = [".kiln-ab_def-x", ".kiln-notes", ".kiln-uvwxyz-live", ".kiln.lock", "x"];
        assert_eq!(names(folder.path()), kept);
        assert_eq!(std::fs::read(place("x")).unwrap(), b"whole");
    }

    #[test]
    fn a_long_name_has_a_hidden_name_too() {
        let folder = tempfile::tempdir().unwrap();
        let name = "ä".repeat(127);
        write(&folder.path().join(&name), b"").unwrap();
        assert_eq!(names(folder.path()), [name]);
    }

    #[test]
    fn a_staged_file_is_locked_until_it_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        let staged = stage(&path).unwrap();
        assert!(staged.path().to_str().unwrap().ends_with("-x.png"));
        remove_abandoned(folder.path());
        assert!(staged.path().exists());
        publish(staged, &path).unwrap();
        assert_eq!(names(folder.path()), ["x.png"]);
        assert!(File::open(&path).unwrap().try_lock().is_ok());
    }
}
