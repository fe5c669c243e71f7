//! What a driver makes of pipelines, kept in a file: the next process that needs them compiles nothing. For drivers
//! without a cache of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::context::lock;

/// The pipeline cache of a device, and its file.
#[derive(Debug)]
pub(crate) struct PipelineCache {
    raw: wgpu::PipelineCache,
    path: PathBuf,
    /// What is in the file, as far as this process knows.
    saved: Mutex<Vec<u8>>,
}

impl PipelineCache {
    /// The cache of a device in a folder, which need not exist; `None` where the backend has none. A file that is damaged
    /// or comes from another driver counts for nothing.
    pub(crate) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<PipelineCache> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(wgpu::util::pipeline_cache_key(info)?);
        let data = fs::read(&path).ok();
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("kiln"), data: data.as_deref(), fallback: true };
        // SAFETY: the file holds what `get_data` gave for this key, written whole or not at all; wgpu tests that it is of
        // this driver's version. That nobody else writes it is up to the user's own cache folder.
        let raw = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(PipelineCache { raw, path, saved: Mutex::new(data.unwrap_or_default()) })
    }

    pub(crate) fn raw(&self) -> &wgpu::PipelineCache {
        &self.raw
    }

    /// Writes the file if the driver has something new. That it cannot be written costs time, not results.
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

/// Writes a file under a temporary name of this process, then gives it its own.
fn write(path: &Path, data: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&temporary, data)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}
