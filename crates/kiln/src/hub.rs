//! Files of the Hugging Face hub, kept in the cache that its other programs use too.
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

/// Where files come from and where they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// The server's address. By default what `HF_ENDPOINT` says, or `https://huggingface.co`.
    pub endpoint: String,
    /// The folder of the files that were fetched before. By default `hub` in what `HF_HOME` says, or in
    /// `.cache/huggingface` at home.
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

/// The path of a file of a repository, `timm/vgg16.tv_in1k`, on this machine: fetched, if it was not before.
///
/// # Errors
/// When the names make no sense, the server does not give the file, or it cannot be written.
pub fn file(repository: &str, file: &str) -> Result<PathBuf> {
    Hub::default().file(repository, file, |_, _| ())
}

impl Hub {
    /// The path of a file of a repository on this machine: fetched, if it was not before. While it is fetched, `progress`
    /// is told how many bytes are there, and how many there will be.
    ///
    /// # Errors
    /// When the names make no sense, the server does not give the file, or it cannot be written.
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
/// When a name could lead elsewhere.
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

/// What went wrong, in words.
fn problem(error: &ApiError) -> String {
    let ApiError::RequestError(request) = error else { return error.to_string() };
    match **request {
        ureq::Error::StatusCode(404) => "the server says 404, no such file".to_owned(),
        ureq::Error::StatusCode(status @ (401 | 403)) => {
            format!("the server says {status}: there is no such repository, or it needs `hf auth login`")
        }
        ureq::Error::StatusCode(status) => format!("the server says {status}"),
        ref other => other.to_string(),
    }
}

/// Tells a function of the bytes that came.
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
