//! The figures of a training, and their files.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::figures::{Figures, write_figures};
use crate::saving::{read, write_atomically};
use crate::{Error, Result};

/// The figures of a training, epoch by epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One entry per epoch.
    pub epochs: Vec<EpochLogs>,
    /// Whether a callback stopped training before the end of its last epoch.
    pub stopped: bool,
}

/// The figures of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "SavedEpoch")]
pub struct EpochLogs {
    /// The epoch; the first is 1.
    pub epoch: usize,
    /// The mean loss of the training samples while the weights changed.
    pub loss: f64,
    /// The metrics of the training samples, likewise.
    #[serde(flatten)]
    pub metrics: Figures,
    /// The loss of the validation samples after the epoch, if any.
    pub val_loss: Option<f64>,
    /// The metrics of the validation samples, if any: `val_accuracy`, for example.
    #[serde(flatten)]
    pub val_metrics: Figures,
    /// The time of the epoch and its validation, in seconds.
    pub seconds: f64,
    /// Training samples per second, without validation.
    pub images_per_second: f64,
    /// Whether the epoch and its validation finished without being stopped by a callback.
    pub complete: bool,
    /// The loss of each batch before its step.
    pub batch_losses: Vec<f64>,
}

/// The figures of an epoch in a file: all metrics at one level, and `null` for NaN and infinity, which JSON cannot
/// represent.
#[derive(Deserialize)]
struct SavedEpoch {
    epoch: usize,
    loss: Option<f64>,
    val_loss: Option<f64>,
    seconds: f64,
    images_per_second: f64,
    complete: bool,
    batch_losses: Vec<Option<f64>>,
    #[serde(flatten)]
    metrics: Figures,
}

impl From<SavedEpoch> for EpochLogs {
    fn from(saved: SavedEpoch) -> EpochLogs {
        let is_of = |validation: bool| {
            let metrics = saved.metrics.iter().filter(move |(name, _)| name.starts_with("val_") == validation);
            metrics.map(|(name, value)| (name.into(), value)).collect()
        };
        EpochLogs {
            epoch: saved.epoch,
            loss: saved.loss.unwrap_or(f64::NAN),
            metrics: is_of(false),
            val_loss: saved.val_loss,
            val_metrics: is_of(true),
            seconds: saved.seconds,
            images_per_second: saved.images_per_second,
            complete: saved.complete,
            batch_losses: saved.batch_losses.into_iter().map(|loss| loss.unwrap_or(f64::NAN)).collect(),
        }
    }
}

impl EpochLogs {
    /// The figures with Keras' names: `loss` and the metrics, and after a validation the same with the prefix `val_`.
    pub fn figures(&self) -> Vec<(&str, f64)> {
        let training = std::iter::once(("loss", self.loss)).chain(self.metrics.iter());
        let validation = self.val_loss.map(|loss| ("val_loss", loss)).into_iter().chain(self.val_metrics.iter());
        training.chain(validation).collect()
    }

    /// The figure with this name, if any.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The metric `accuracy` of the training samples, if it was measured.
    pub fn accuracy(&self) -> Option<f64> {
        self.metrics.get("accuracy")
    }
}

/// `loss: 0.2500 - accuracy: 0.9000`, as Keras prints figures.
impl fmt::Display for EpochLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_figures(f, &self.figures())
    }
}

impl History {
    /// The file's name in a folder.
    pub(crate) const JSON: &str = "history.json";

    /// Writes `history.json`, with everything, and `history.csv`, with a line per epoch, to a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let path = folder.join(History::JSON);
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Format { path: path.clone(), problem: error.to_string() })?;
        write_atomically(&path, json.as_bytes())?;
        write_atomically(&folder.join("history.csv"), self.to_csv().as_bytes())
    }

    /// Reads the `history.json` of a folder.
    ///
    /// # Errors
    /// If the file cannot be read or is not a history.
    pub fn load(folder: impl AsRef<Path>) -> Result<History> {
        let path = folder.as_ref().join(History::JSON);
        let bytes = read(&path)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Format { path, problem: error.to_string() })
    }

    /// A CSV line per epoch, without the losses of the batches. Missing figures are empty.
    pub fn to_csv(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.epochs.iter().flat_map(EpochLogs::figures) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let rows = self.epochs.iter().map(|logs| {
            let figure = |name: &&str| logs.get(name).map(|value| value.to_string()).unwrap_or_default();
            let figures: Vec<String> = names.iter().map(figure).collect();
            let (seconds, speed) = (logs.seconds, logs.images_per_second);
            format!("{},{},{seconds:.3},{speed:.1}\n", logs.epoch, figures.join(","))
        });
        let head = format!("epoch,{},seconds,images_per_second\n", names.join(","));
        std::iter::once(head).chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn history() -> History {
        let first = EpochLogs {
            epoch: 1,
            loss: 0.5,
            metrics: Figures::from([("accuracy", 0.75)]),
            seconds: 2.0,
            images_per_second: 30.0,
            batch_losses: vec![0.6, 0.4],
            ..EpochLogs::default()
        };
        let val_metrics = Figures::from([("val_accuracy", 1.0)]);
        let second = EpochLogs { epoch: 2, val_loss: Some(0.25), val_metrics, ..first.clone() };
        History { epochs: vec![first, second], stopped: true }
    }

    #[test]
    fn a_saved_history_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        history().save(&folder).unwrap();
        assert_eq!(History::load(&folder).unwrap(), history());
    }

    #[test]
    fn losses_that_are_no_numbers_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut diverged = history();
        (diverged.epochs[1].loss, diverged.epochs[1].batch_losses) = (f64::NAN, vec![0.5, f64::NAN]);
        diverged.save(&folder).unwrap();
        let read = History::load(&folder).unwrap();
        assert_eq!(format!("{read:?}"), format!("{diverged:?}"));
    }

    #[test]
    fn figures_print_as_in_keras_and_an_accuracy_that_was_not_measured_is_none() {
        let [first, second] = &history().epochs[..] else { panic!() };
        assert_eq!(first.to_string(), "loss: 0.5000 - accuracy: 0.7500");
        assert_eq!(second.to_string(), "loss: 0.5000 - accuracy: 0.7500 - val_loss: 0.2500 - val_accuracy: 1.0000");
        assert_eq!((first.accuracy(), EpochLogs::default().accuracy()), (Some(0.75), None));
    }

    #[test]
    fn csv_has_a_line_per_epoch() {
        let expected = "epoch,loss,accuracy,val_loss,val_accuracy,seconds,images_per_second\n\
                        1,0.5,0.75,,,2.000,30.0\n\
                        2,0.5,0.75,0.25,1,2.000,30.0\n";
        assert_eq!(history().to_csv(), expected);
    }

    #[test]
    fn a_file_that_is_no_history_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(History::JSON), "{\"epochs\": 3}").unwrap();
        let error = History::load(&folder).unwrap_err().to_string();
        assert!(error.contains("history.json: invalid type: integer `3`"), "{error}");
    }
}
