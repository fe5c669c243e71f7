//! Files that appear whole or not at all.

use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::error::Error;

/// A new file beside `path`, hidden and with the same extension, to be filled and then handed to [`publish`].
pub fn stage(path: &Path) -> Result<NamedTempFile, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let suffix = path.file_name().map(|name| format!("-{}", name.to_string_lossy())).unwrap_or_default();
    let mut builder = Builder::new();
    builder.prefix(".kiln-").suffix(&suffix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less the user's umask
    }
    builder.tempfile_in(folder).map_err(Error::file("write a file in", folder))
}

/// Gives a staged file its name, in place of what had it.
pub fn publish(staged: NamedTempFile, path: &Path) -> Result<(), Error> {
    staged.persist(path).map(drop).map_err(|error| Error::file("write", path)(error.error))
}
