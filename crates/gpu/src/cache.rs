//! Compiled pipelines in a file, so that the next process that needs them compiles nothing. For drivers without a cache of
//! their own.
//!
//! A file is the SHA-256 of the data, then the data. Drivers do not validate the data, so damaged data must not reach
//! them: a file whose hash does not match, or that wgpu refuses, is deleted and created anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use crate::context::lock;
use crate::scopes::capture;

/// The length of the hash, in bytes.
const HASH: usize = 32;

/// The pipeline cache of a device, and its file.
#[derive(Debug)]
pub(crate) struct PipelineCache {
    raw: wgpu::PipelineCache,
    path: PathBuf,
    /// The content of the file as last read or written by this process.
    saved: Mutex<Vec<u8>>,
}

impl PipelineCache {
    /// The cache of a device in a folder, which need not exist; `None` where the backend has none. A file that is damaged
    /// or of another driver is ignored.
    pub(crate) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<PipelineCache> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(wgpu::util::pipeline_cache_key(info)?);
        let data = read(&path);
        if let Some(data) = data {
            match create(device, Some(&data)) {
                Ok(raw) => return Some(PipelineCache { raw, path, saved: Mutex::new(data) }),
                Err(error) => discard(&path, &error),
            }
        }
        match create(device, None) {
            Ok(raw) => Some(PipelineCache { raw, path, saved: Mutex::default() }),
            Err(error) => {
                tracing::debug!(error, "pipelines are not cached");
                None
            }
        }
    }

    pub(crate) fn raw(&self) -> &wgpu::PipelineCache {
        &self.raw
    }

    /// Writes the file if the driver's data have changed. A failure to write costs time, not results.
    pub(crate) fn save(&self) {
        let Some(data) = self.raw.get_data() else { return };
        let mut saved = lock(&self.saved);
        if data == *saved {
            return;
        }
        match write(&self.path, &data) {
            Ok(()) => *saved = data,
            Err(error) => tracing::debug!(path = %self.path.display(), %error, "the pipeline cache is not saved"),
        }
    }
}

/// The driver's cache with this data, or an empty one.
///
/// # Errors
/// wgpu's message about invalid data.
fn create(device: &wgpu::Device, data: Option<&[u8]>) -> Result<wgpu::PipelineCache, String> {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("kiln"), data, fallback: true };
    // SAFETY: the data is what `get_data` returned for this key, by its hash; wgpu tests that it is of this driver's
    // version. That nobody writes the file on purpose is up to the user's own cache folder.
    let made = capture(device, || unsafe { device.create_pipeline_cache(&descriptor) });
    match made.error {
        None => Ok(made.value),
        Some(error) => Err(error.to_string()),
    }
}

/// The data in a file, if it is whole. A damaged file is deleted.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut file = fs::read(path).ok()?;
    match file.split_first_chunk::<HASH>() {
        Some((hash, data)) if hash[..] == Sha256::digest(data)[..] => {
            file.drain(..HASH);
            Some(file)
        }
        _ => {
            discard(path, "its hash does not match");
            None
        }
    }
}

fn discard(path: &Path, problem: &str) {
    tracing::warn!(path = %path.display(), problem, "the pipeline cache is damaged and is made anew");
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "the damaged pipeline cache is not deleted");
    }
}

/// Writes a file under a temporary name of this process and renames it.
fn write(path: &Path, data: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&temporary, [&Sha256::digest(data)[..], data].concat())
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}
