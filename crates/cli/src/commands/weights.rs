//! `--weights`: a local file, or a file of the Hugging Face hub.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use kiln::hub::Hub;

use crate::error::Error;

/// The value of `--weights`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weights {
    File(PathBuf),
    Hub { repository: String, file: String },
}

impl Weights {
    /// Parses a path or `hub:OWNER/NAME[/FILE]`, where FILE defaults to `model.safetensors`.
    pub fn parse(text: &str) -> Result<Weights, String> {
        let Some(name) = text.strip_prefix("hub:") else { return Ok(Weights::File(text.into())) };
        let mut parts = name.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(owner), Some(name), file) if !owner.is_empty() && !name.is_empty() => Ok(Weights::Hub {
                repository: format!("{owner}/{name}"),
                file: file.unwrap_or("model.safetensors").to_owned(),
            }),
            _ => Err("expected hub:OWNER/NAME or hub:OWNER/NAME/FILE".to_owned()),
        }
    }

    /// The local path; downloads the file with a progress bar if it is not cached.
    pub fn path(&self) -> Result<PathBuf, Error> {
        let (repository, file) = match self {
            Weights::File(path) => return Ok(path.clone()),
            Weights::Hub { repository, file } => (repository, file),
        };
        let template = "{prefix} [{wide_bar}] {bytes}/{total_bytes}, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar =
            ProgressBar::new(0).with_style(style.progress_chars("=>.")).with_prefix(format!("{repository}/{file}"));
        let path = Hub::default().file(repository, file, |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        Ok(path?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn weights_are_a_file_or_one_of_the_hub() {
        assert_eq!(Weights::parse("a/b.h5").unwrap(), Weights::File("a/b.h5".into()));
        let hub = |repository: &str, file: &str| Weights::Hub { repository: repository.into(), file: file.into() };
        assert_eq!(Weights::parse("hub:timm/vgg16.tv_in1k").unwrap(), hub("timm/vgg16.tv_in1k", "model.safetensors"));
        assert_eq!(Weights::parse("hub:a/b/c/d.h5").unwrap(), hub("a/b", "c/d.h5"));
        for wrong in ["hub:", "hub:a", "hub:/b", "hub:a/"] {
            assert!(Weights::parse(wrong).is_err(), "{wrong}");
        }
    }
}
