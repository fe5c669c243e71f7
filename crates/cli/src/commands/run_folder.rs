//! The folder of a run, locked for one training at a time, so that runs are neither lost nor mixed up.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use kiln::History;

use super::network::Known;
use super::run::{self, Run};
use crate::error::Error;

/// The file from which a training resumes.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The folder of TensorBoard's event files.
pub const BOARD: &str = "tensorboard";
/// The file locked by the training process. It is never removed, because a lock belongs to the file, not to its name.
const LOCK: &str = ".kiln.lock";
/// The files of a run, in the order of their removal: those needed to resume come first.
const FILES: [&str; 8] = [
    CHECKPOINT,
    "weights.safetensors",
    "model.json",
    "standardization.safetensors",
    "history.json",
    "history.csv",
    "history.png",
    "history.svg",
];

/// A folder locked against other trainings until this is dropped or the process ends. A missing folder is created only
/// when a training begins, so that a training that cannot start leaves none.
pub struct RunFolder {
    path: PathBuf,
    /// None while the folder does not exist.
    lock: Option<File>,
}

/// The contents of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// No files of a run.
    Nothing,
    /// A training that ended during its first epoch.
    Begun,
    /// A training whose last complete epoch has a checkpoint.
    Checkpoint,
    /// A model without a checkpoint.
    Model,
}

impl RunFolder {
    /// Locks the folder, if it exists.
    ///
    /// # Errors
    /// If another process trains there, or the folder is not writable.
    pub fn open(path: &Path) -> Result<RunFolder, Error> {
        let lock = path.exists().then(|| lock(path)).transpose()?;
        Ok(RunFolder { path: path.to_owned(), lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its contents.
    ///
    /// # Errors
    /// If a file of a run cannot be read.
    pub fn contents(&self) -> Result<Contents, Error> {
        if self.path.join(CHECKPOINT).exists() {
            return Ok(Contents::Checkpoint);
        }
        let training = Run::load(&self.path)?.is_some_and(|run| run.training.is_some());
        if !FILES.iter().any(|file| self.path.join(file).exists()) {
            return Ok(if training { Contents::Begun } else { Contents::Nothing });
        }
        let complete = self.history()?.epochs.iter().any(|logs| logs.complete);
        // The weights of an epoch that was interrupted or is being saved. A model of other origin counts as a model.
        Ok(if training && !complete { Contents::Begun } else { Contents::Model })
    }

    /// The figures of the epochs so far; empty without a history file.
    ///
    /// # Errors
    /// If the file cannot be read or is not a history.
    pub fn history(&self) -> Result<History, Error> {
        match History::load(&self.path) {
            Err(kiln::Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(History::default()),
            history => Ok(history?),
        }
    }

    /// # Errors
    /// If the folder contains a run, unless it may be overwritten.
    pub fn check(&self, overwrite: bool) -> Result<(), Error> {
        let anything = FILES.iter().any(|file| self.path.join(file).exists());
        match anything && !overwrite {
            true => Err(Error::HoldsRun { folder: self.path.clone(), what: self.describe() }),
            false => Ok(()),
        }
    }

    /// The contents as text.
    fn describe(&self) -> String {
        match Run::load(&self.path) {
            Ok(Some(run)) if !run.model.is_empty() => format!("{} trained on {}", run.model, run.data),
            _ => "a model".to_owned(),
        }
    }

    /// Claims the folder for this training: removes the files of another run and writes run.json.
    ///
    /// # Errors
    /// If a file cannot be removed or written, or another training has begun in a folder that did not exist.
    pub fn begin(&mut self, run: &Run) -> Result<(), Error> {
        if self.lock.is_none() {
            std::fs::create_dir_all(&self.path).map_err(Error::file("create the folder", &self.path))?;
            let lock = lock(&self.path)?;
            self.check(false)?;
            self.lock = Some(lock);
        }
        for file in FILES {
            remove(&self.path.join(file))?;
        }
        for part in ["train", "validation"] {
            let Ok(events) = std::fs::read_dir(self.path.join(BOARD).join(part)) else { continue };
            for event in events.flatten().filter(|event| event.file_name().to_string_lossy().contains(".kiln.")) {
                remove(&event.path())?;
            }
        }
        run.save(&self.path)
    }
}

/// Locks an existing folder.
fn lock(folder: &Path) -> Result<File, Error> {
    let name = folder.join(LOCK);
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(Error::file("write", &name))?;
    match lock.try_lock() {
        Ok(()) => {
            let written = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
            written.map_err(Error::file("write", &name))?;
        }
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let _ = lock.rewind().and_then(|()| lock.read_to_string(&mut process)); // only for the message
            return Err(Error::InUse { folder: folder.to_owned(), process });
        }
        Err(TryLockError::Error(error)) => {
            eprintln!(
                "warning: {} cannot be locked: {error}; make sure that no other training writes there",
                folder.display()
            );
        }
    }
    Ok(lock)
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The output folder of `kiln train` that a model's name on the command line refers to, if it does.
pub fn named(model: &str) -> Option<&Path> {
    let folder = Path::new(model);
    (Known::named(model).is_none() && folder.join("model.json").is_file()).then_some(folder)
}

/// Whether two paths are the same folder.
pub fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// A new folder in `runs` for another training of the model in a folder: the folder's name with the first free number.
pub fn another(model: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(model).map_err(Error::file("read", model))?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = |number: usize| Path::new("runs").join(format!("{name}-{number}"));
    let free = (2..).map(name).find(|folder| {
        let used = FILES.iter().chain([&run::FILE]).any(|file| folder.join(file).exists());
        !used
    });
    free.ok_or_else(|| Error::NoModel { found: model.display().to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn training() -> Run {
        Run {
            model: "lenet".to_owned(),
            data: "mnist".to_owned(),
            training: Some(Default::default()),
            ..Run::default()
        }
    }

    #[test]
    fn a_folder_is_locked_once_and_says_by_whom() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunFolder::open(folder.path()).unwrap();
        let error = RunFolder::open(folder.path()).err().unwrap().to_string();
        let process = format!("another training (process {}) writes there", std::process::id());
        assert!(error.contains(&process) && error.contains("--out"), "{error}");
        drop(first);
        assert!(RunFolder::open(folder.path()).is_ok());
    }

    #[test]
    fn a_folder_that_is_not_there_is_made_when_a_training_begins() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("runs/new");
        let mut first = RunFolder::open(&path).unwrap();
        let mut second = RunFolder::open(&path).unwrap();
        assert_eq!(first.contents().unwrap(), Contents::Nothing);
        assert!(!parent.path().join("runs").exists());
        first.begin(&training()).unwrap();
        assert!(matches!(second.begin(&training()), Err(Error::InUse { .. })));
        std::fs::write(path.join(CHECKPOINT), "").unwrap();
        drop(first);
        assert!(matches!(second.begin(&training()), Err(Error::HoldsRun { .. })));
        assert!(path.join(CHECKPOINT).exists());
    }

    #[test]
    fn a_run_is_only_written_over_when_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = RunFolder::open(folder.path()).unwrap();
        run.check(false).unwrap();
        assert_eq!(run.contents().unwrap(), Contents::Nothing);
        run.begin(&training()).unwrap();
        assert_eq!(run.contents().unwrap(), Contents::Begun);
        run.check(false).unwrap();

        for (file, contents) in [("weights.safetensors", Contents::Begun), (CHECKPOINT, Contents::Checkpoint)] {
            std::fs::write(folder.path().join(file), "").unwrap();
            assert_eq!(run.contents().unwrap(), contents);
            let error = run.check(false).unwrap_err().to_string();
            assert!(error.contains("lenet trained on mnist") && error.contains("--overwrite"), "{error}");
        }
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        run.check(true).unwrap();
        run.begin(&training()).unwrap();
        assert_eq!(run.contents().unwrap(), Contents::Begun);
        assert!(folder.path().join("notes.txt").exists());
    }

    #[test]
    fn a_model_that_no_training_left_is_never_taken_for_one_that_can_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("weights.safetensors"), "").unwrap();
        let run = RunFolder::open(folder.path()).unwrap();
        assert_eq!(run.contents().unwrap(), Contents::Model);
        assert!(run.check(false).is_err());
    }
}
