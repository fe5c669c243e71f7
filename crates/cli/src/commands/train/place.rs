//! Where the result of `kiln train` goes, and what becomes of a training that is there.

use std::path::{Path, PathBuf};

use crate::commands::run_folder;
use crate::error::Error;

/// Where the result goes, and what becomes of a training that is there.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// Go on from the checkpoint in --out, up to --epochs in all: to the bits of a training that was not interrupted.
    /// Options that are not given are those of the training there. Others than those are refused, but for --epochs,
    /// --minutes, --learning-rate, --patience, --tensorboard and --device, which take effect.
    #[arg(long)]
    pub resume: bool,
    /// As --resume if a training in --out can be resumed, else begin one: for jobs that are restarted when they end early.
    #[arg(long, conflicts_with = "resume")]
    pub resume_if_present: bool,
    /// Remove the training in --out when the new one begins.
    #[arg(long, conflicts_with_all = ["resume", "resume_if_present"])]
    pub overwrite: bool,
    /// Where the result goes: a folder without a training, unless --resume or --overwrite says what becomes of it
    /// [default: runs/MODEL, or a new folder beside it where MODEL is a trained one].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Place {
    /// Whether a training may be resumed.
    pub fn resumes(&self) -> bool {
        self.resume || self.resume_if_present
    }

    /// The folder of the result.
    pub fn out(&self, model: &str) -> Result<PathBuf, Error> {
        match (&self.out, run_folder::named(model)) {
            (Some(out), _) => Ok(out.clone()),
            (None, Some(folder)) if self.resumes() => Ok(folder.to_owned()),
            (None, Some(folder)) => run_folder::another(folder),
            (None, None) => Ok(Path::new("runs").join(Path::new(model).file_stem().unwrap_or_default())),
        }
    }
}
