//! Files that appear whole or not at all: [`kiln::files`] with this program's errors.

use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::Error;

/// A new file beside `path`, hidden and with the same extension, to be filled and then handed to [`publish`].
pub fn stage(path: &Path) -> Result<NamedTempFile, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    kiln::files::stage(path).map_err(Error::file("write a file in", folder))
}

/// Gives a staged file its name, in place of what had it.
pub fn publish(staged: NamedTempFile, path: &Path) -> Result<(), Error> {
    kiln::files::publish(staged, path).map_err(Error::file("write", path))
}
