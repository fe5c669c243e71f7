//! Atomic files: [`kiln::files`] with this program's errors.

use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::Error;

/// Creates a hidden file beside `path` with the same extension, to be written and then passed to [`publish`].
pub fn stage(path: &Path) -> Result<NamedTempFile, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    kiln::files::stage(path).map_err(Error::file("write a file in", folder))
}

/// Renames a staged file to `path`, replacing an existing file.
pub fn publish(staged: NamedTempFile, path: &Path) -> Result<(), Error> {
    kiln::files::publish(staged, path).map_err(Error::file("write", path))
}
