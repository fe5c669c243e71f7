//! `--resume`: finds the training and checks that it is the requested one.

use kiln::data::Dataset;
use kiln::{History, Model};

use super::Arguments;
use super::record::{Merged, Training};
use crate::commands::run::Run;
use crate::commands::run_folder::{self, CHECKPOINT, Contents, RunFolder};
use crate::error::Error;

/// A resumed training.
pub struct Resumed {
    /// The new arguments, completed by those of the training.
    pub arguments: Arguments,
    /// Whether the model of the command is the training itself.
    pub itself: bool,
    /// The run so far.
    pub run: Run,
    training: Training,
    notes: Vec<String>,
}

/// The training to resume, if any.
///
/// # Errors
/// If there is none but must be, it is not the requested one, or it would be lost.
pub fn find(arguments: &Arguments, folder: &RunFolder) -> Result<Option<Resumed>, Error> {
    let path = folder.path();
    if !arguments.place.resumes() {
        folder.check(arguments.place.overwrite)?;
        return Ok(None);
    }
    let nothing = |found| Err(Error::NothingToResume { folder: path.to_owned(), found });
    match folder.contents()? {
        Contents::Checkpoint => {}
        Contents::Nothing | Contents::Begun if arguments.place.resume_if_present => {
            return arguments.conflict().map_or(Ok(None), |conflict| Err(Error::Usage(conflict)));
        }
        Contents::Nothing => return nothing("no training"),
        Contents::Begun => return nothing("a training that ended during its first epoch"),
        Contents::Model => return nothing("a model without a checkpoint"),
    }
    let Some((run, training)) = Run::load(path)?.and_then(|run| Some((run.clone(), run.training?))) else {
        return nothing("a checkpoint, but no run.json with the options of the training");
    };
    let itself = run_folder::named(&arguments.model).is_some_and(|model| run_folder::is_same(model, path));
    let model = if itself { &run.model } else { &arguments.model };
    let Merged { arguments, kept, changed } = training.merge(arguments, model, path)?;
    if let Some(conflict) = arguments.conflict() {
        return Err(Error::Usage(conflict));
    }
    let kept = (!kept.is_empty()).then(|| format!("options kept from the resumed training: {}", kept.join(" ")));
    let notes = kept.into_iter().chain(changed.into_iter().map(|change| format!("changed: {change}"))).collect();
    Ok(Some(Resumed { arguments, itself, run, training, notes }))
}

impl Resumed {
    /// The network of the training, with new weights.
    pub fn network(&self, folder: &RunFolder) -> Result<Model, Error> {
        Ok(Model::from_json_file(folder.path().join("model.json"))?)
    }

    /// The record of the training, after checking that it is the same.
    ///
    /// # Errors
    /// If the data, their classes or the network are not those of the training.
    pub fn checked(
        &self,
        now: Training,
        train: &Dataset,
        model: &Model,
        folder: &RunFolder,
    ) -> Result<Training, Error> {
        let mut differences: Vec<String> = self.training.data.difference(&now.data).into_iter().collect();
        if self.run.classes != train.class_names() {
            let words = |names: &[String]| if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
            let (before, now) = (words(&self.run.classes), words(train.class_names()));
            differences.push(format!("classes of --data: {before} before, {now} now"));
        }
        if self.network(folder)?.to_json()? != model.to_json()? {
            let (before, now) = (&self.run.model, &self.arguments.model);
            differences.push(format!("network: {before} before, a different one from {now} now"));
        }
        match differences.is_empty() {
            true => Ok(now.continuing(&self.training)),
            false => Err(Error::OtherTraining { folder: folder.path().to_owned(), differences }),
        }
    }

    /// Restores the model's training state. Returns the number of finished epochs, and their figures.
    pub fn restore(&self, model: &mut Model, folder: &RunFolder) -> Result<(usize, History), Error> {
        let epochs = model.load_checkpoint(folder.path().join(CHECKPOINT))?;
        let mut history = folder.history()?;
        history.epochs.truncate(epochs);
        history.stopped = false;
        Ok((epochs, history))
    }

    /// Prints the resumed training and its changes.
    pub fn introduce(&self, model: &Model, epochs: usize, now: &Run) -> Result<(), Error> {
        // In f32, as on the device.
        let rate = model.learning_rate()? as f32;
        println!("resuming after epoch {epochs}, with a learning rate of {rate}");
        self.notes.iter().for_each(|note| println!("{note}"));
        // Another version of Kiln may have other defaults.
        if self.run.optimizer != now.optimizer {
            println!("changed: the optimizer: {} before, {} now", self.run.optimizer, now.optimizer);
        }
        if self.run.device != now.device {
            let (before, now) = (&self.run.device, &now.device);
            println!("changed: the device: {before} before, {now} now; their results differ in the last digits");
        }
        Ok(())
    }
}
