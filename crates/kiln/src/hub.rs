//! Files of the Hugging Face hub, in the cache shared with its other programs.
//!
//! ```no_run
//! use kiln::{Model, hub};
//!
//! let path = hub::file("timm/vgg16.tv_in1k", "model.safetensors")?;
//! let mut model = Model::load("runs/vgg16")?;
//! model.load_weights(path)?;
//! # Ok::<(), kiln::Error>(())
//! ```

use std::path::PathBuf;

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo};

use crate::{Error, Result};

/// A hub and its local cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// The server's URL. By default `HF_ENDPOINT`, or `https://huggingface.co`.
    pub endpoint: String,
    /// The cache folder. By default `hub` in `HF_HOME`, or in `~/.cache/huggingface`.
    pub cache: PathBuf,
}

impl Default for Hub {
    fn default() -> Hub {
        let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
        Hub {
            endpoint: endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned()),
            cache: Cache::from_env().path().clone(),
        }
    }
}

/// The local path of a file of a repository, such as `timm/vgg16.tv_in1k`; downloads it if it is not cached.
///
/// # Errors
/// If a name is invalid, the server refuses the file, or it cannot be written.
pub fn file(repository: &str, file: &str) -> Result<PathBuf> {
    Hub::default().file(repository, file, |_, _| ())
}

impl Hub {
    /// The local path of a file of a repository; downloads it if it is not cached, calling `progress` with the number
    /// of received bytes and the total.
    ///
    /// # Errors
    /// If a name is invalid, the server refuses the file, or it cannot be written.
    pub fn file(&self, repository: &str, file: &str, progress: impl FnMut(u64, u64)) -> Result<PathBuf> {
        check(repository, file)?;
        let cache = Cache::new(self.cache.clone());
        let repo = Repo::model(repository.to_owned());
        if let Some(path) = cache.repo(repo.clone()).get(file) {
            return Ok(path);
        }
        let endpoint = self.endpoint.trim_end_matches('/').to_owned();
        let api = ApiBuilder::from_cache(cache).with_endpoint(endpoint.clone()).with_progress(false).build();
        let path = api.and_then(|api| api.repo(repo).download_with_progress(file, Told { progress, done: 0, size: 0 }));
        path.map_err(|error| {
            let (repository, file) = (repository.to_owned(), file.to_owned());
            Error::Hub { repository, file, endpoint, problem: problem(&error) }
        })
    }
}

/// # Errors
/// If a name could refer to another path.
fn check(repository: &str, file: &str) -> Result<()> {
    let plain = |part: &str| {
        let known = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        !part.is_empty() && part.chars().all(known) && part != "." && part != ".."
    };
    if repository.split('/').count() > 2 || !repository.split('/').all(plain) {
        let expected = "OWNER/NAME, as `timm/vgg16.tv_in1k`".to_owned();
        return Err(Error::Argument { name: "repository", expected, found: format!("`{repository}`") });
    }
    if !file.split('/').all(plain) {
        let expected = "the path of a file in the repository, as `model.safetensors`".to_owned();
        return Err(Error::Argument { name: "file", expected, found: format!("`{file}`") });
    }
    Ok(())
}

/// The problem as text.
fn problem(error: &ApiError) -> String {
    let ApiError::RequestError(request) = error else { return error.to_string() };
    match **request {
        ureq::Error::StatusCode(404) => "HTTP status 404, no such file".to_owned(),
        ureq::Error::StatusCode(status @ (401 | 403)) => {
            format!("HTTP status {status}: the repository does not exist, or requires `hf auth login`")
        }
        ureq::Error::StatusCode(status) => format!("HTTP status {status}"),
        ref other => other.to_string(),
    }
}

/// Reports received bytes to a function.
struct Told<F> {
    progress: F,
    done: u64,
    size: u64,
}

impl<F: FnMut(u64, u64)> Progress for Told<F> {
    fn init(&mut self, size: usize, _file: &str) {
        (self.done, self.size) = (0, size as u64);
    }

    fn update(&mut self, bytes: usize) {
        self.done += bytes as u64;
        (self.progress)(self.done, self.size);
    }

    fn finish(&mut self) {}
}
