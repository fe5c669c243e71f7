//! The error of a training that diverged, with the location of its last finite weights.

use std::path::Path;

use kiln::{History, Model};

use crate::error::Error;

/// Adds the location of the last finite weights to the error of a training that diverged. Weights are saved after each
/// epoch; if no epoch finished, the initial ones, rebuilt by `initial`, are saved unless the folder has others.
pub fn explain(
    error: kiln::Error,
    history: &History,
    out: &Path,
    initial: impl FnOnce() -> Result<Model, Error>,
) -> Error {
    if !matches!(error, kiln::Error::NonFinite { .. }) {
        return error.into();
    }
    let folder = out.display();
    let kept = match history.epochs.last() {
        Some(logs) => format!("the last finite weights, those of epoch {}, are in {folder}", logs.epoch),
        None if out.join("weights.safetensors").exists() => {
            format!("no epoch finished: the contents of {folder} are from before this training")
        }
        None => match initial().and_then(|model| save_if_finite(&model, out)) {
            Ok(true) => format!("the last finite weights, the initial ones, are in {folder}"),
            Ok(false) => "the initial weights are not finite: nothing is saved".to_owned(),
            Err(error) => return error,
        },
    };
    Error::Diverged { error: Box::new(error), kept }
}

/// Saves a model if all of its weights are finite. Returns whether they are.
fn save_if_finite(model: &Model, folder: &Path) -> Result<bool, Error> {
    let is_finite = model.get_weights()?.iter().all(|weight| weight.values.iter().all(|value| value.is_finite()));
    if is_finite {
        model.save(folder)?;
    }
    Ok(is_finite)
}
