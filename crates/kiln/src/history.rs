//! The figures of a training, and the files that hold them.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use crate::saving::{read, write_atomically};
use crate::{Error, Result};

/// The figures of a training, epoch by epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One entry per epoch.
    pub epochs: Vec<EpochLogs>,
    /// Whether a callback stopped training before its last epoch was over.
    pub stopped: bool,
}

/// The figures of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochLogs {
    /// The epoch, the first being 1.
    pub epoch: usize,
    /// The loss of the training samples, averaged over them, while the weights changed.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// The share of the training samples whose class was the most probable one, likewise.
    pub accuracy: f64,
    /// The loss of the validation samples after the epoch, if there are any.
    pub val_loss: Option<f64>,
    /// The share of the validation samples whose class was the most probable one, if there are any.
    pub val_accuracy: Option<f64>,
    /// How long the epoch took with its validation, in seconds.
    pub seconds: f64,
    /// Training samples per second, validation not counted.
    pub images_per_second: f64,
    /// Whether the epoch ran to its end, its validation included: not if a callback stopped it.
    pub complete: bool,
    /// The loss of each batch before its step.
    #[serde(deserialize_with = "numbers")]
    pub batch_losses: Vec<f64>,
}

/// Reads a number. JSON has none that is not finite: those are written as `null`.
fn number<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Reads numbers likewise.
fn numbers<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<f64>, D::Error> {
    let numbers: Vec<Option<f64>> = Deserialize::deserialize(from)?;
    Ok(numbers.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect())
}

impl EpochLogs {
    /// The figures that there are, as Keras names them: `loss`, `accuracy`, and after a validation `val_loss` and
    /// `val_accuracy`.
    pub fn figures(&self) -> Vec<(&str, f64)> {
        let validation = [("val_loss", self.val_loss), ("val_accuracy", self.val_accuracy)];
        let validation = validation.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        [("loss", self.loss), ("accuracy", self.accuracy)].into_iter().chain(validation).collect()
    }

    /// The figure of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl History {
    /// The file's name in a folder.
    pub(crate) const JSON: &str = "history.json";

    /// Writes `history.json`, which holds everything, and `history.csv`, a line per epoch, into a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
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
    /// When the file cannot be read or holds something else.
    pub fn load(folder: impl AsRef<Path>) -> Result<History> {
        let path = folder.as_ref().join(History::JSON);
        let bytes = read(&path)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Format { path, problem: error.to_string() })
    }

    /// A line per epoch, without the losses of the batches.
    pub fn to_csv(&self) -> String {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let rows = self.epochs.iter().map(|logs| {
            format!(
                "{},{},{},{},{},{:.3},{:.1}\n",
                logs.epoch,
                logs.loss,
                logs.accuracy,
                number(logs.val_loss),
                number(logs.val_accuracy),
                logs.seconds,
                logs.images_per_second
            )
        });
        let head = "epoch,loss,accuracy,val_loss,val_accuracy,seconds,images_per_second\n".to_owned();
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
            accuracy: 0.75,
            seconds: 2.0,
            images_per_second: 30.0,
            batch_losses: vec![0.6, 0.4],
            ..EpochLogs::default()
        };
        let second = EpochLogs { epoch: 2, val_loss: Some(0.25), val_accuracy: Some(1.0), ..first.clone() };
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
