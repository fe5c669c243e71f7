//! The output folder of `kiln train`, and the handling of a training in it.

use std::path::{Path, PathBuf};

use crate::commands::run_folder;
use crate::error::Error;

/// The output folder, and the handling of a training in it.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// Resume from the checkpoint in --out, up to --epochs in total, with results bit-identical to an uninterrupted
    /// training. Options default to those of the training there; changes are refused, except of --epochs, --minutes,
    /// --learning-rate, --patience, --tensorboard and --device.
    #[arg(long)]
    pub resume: bool,
    /// Resume a training in --out, as --resume, or start one if there is none; for jobs that are restarted
    /// automatically.
    #[arg(long, conflicts_with = "resume")]
    pub resume_if_present: bool,
    /// Replace the training in --out.
    #[arg(long, conflicts_with_all = ["resume", "resume_if_present"])]
    pub overwrite: bool,
    /// The output folder, which must not contain a training unless --resume or --overwrite is set [default: runs/MODEL,
    /// or a new folder beside it if MODEL is a trained one].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Place {
    /// Whether a training may be resumed.
    pub fn resumes(&self) -> bool {
        self.resume || self.resume_if_present
    }

    /// The output folder.
    pub fn out(&self, model: &str) -> Result<PathBuf, Error> {
        match (&self.out, run_folder::named(model)) {
            (Some(out), _) => Ok(out.clone()),
            (None, Some(folder)) if self.resumes() => Ok(folder.to_owned()),
            (None, Some(folder)) => run_folder::another(folder),
            (None, None) => Ok(Path::new("runs").join(Path::new(model).file_stem().unwrap_or_default())),
        }
    }
}
