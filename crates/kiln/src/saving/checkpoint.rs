//! A training in one safetensors file: the weights under `layer/variable`, what the optimizer keeps under
//! `optimizer/slot/layer/variable`, and how far training is in the file's metadata. One file, so that its parts are
//! always of one moment.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tensors::{TensorFile, write_tensors};
use crate::weights::{self, Weight};
use crate::{Error, Model, Result};

/// The key of the metadata.
const KEY: &str = "kiln.training";
/// What the names of an optimizer's tensors begin with.
const OPTIMIZER: &str = "optimizer/";

/// How far a training is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The name of the optimizer.
    pub optimizer: String,
    /// How many epochs are over.
    pub epochs: usize,
    /// How many steps are.
    pub iterations: u64,
    /// The learning rate, unless a schedule tells it.
    pub learning_rate: Option<f64>,
}

/// Writes a compiled model's training into a file.
pub(crate) fn save(model: &Model, path: &Path) -> Result<()> {
    let mut tensors = model.get_weights()?;
    let session = model.trained("save_checkpoint")?;
    for (slot, values) in session.slots()? {
        let named = |weight: Weight| Weight { name: format!("{OPTIMIZER}{slot}/{}", weight.name), ..weight };
        tensors.extend(session.layout().unpack(session.network(), &values).into_iter().map(named));
    }
    let progress = serde_json::to_string(&session.progress()?)
        .map_err(|error| Error::Format { path: path.to_owned(), problem: error.to_string() })?;
    write_tensors(path, &tensors, Some([(KEY.to_owned(), progress)].into()))
}

/// Puts a compiled model where a file's training is. Gives how many epochs are over.
pub(crate) fn load(model: &mut Model, path: &Path) -> Result<usize> {
    let file = TensorFile::open(path)?;
    let format = |problem: String| Error::Format { path: path.to_owned(), problem };
    let Some(progress) = file.metadata.get(KEY) else {
        return Err(format("expected what `save_checkpoint` wrote, found no state of a training".to_owned()));
    };
    let progress: Progress = serde_json::from_str(progress).map_err(|error| format(error.to_string()))?;
    let (slots, weights): (Vec<Weight>, Vec<Weight>) =
        file.read_all(model.name())?.into_iter().partition(|tensor| tensor.name.starts_with(OPTIMIZER));

    let session = model.session("load_checkpoint")?;
    let expected = session.progress()?.optimizer;
    if progress.optimizer != expected {
        let found = &progress.optimizer;
        return Err(format(format!(
            "expected a training with {expected}, which the model is compiled with, found {found}"
        )));
    }
    let source = path.display().to_string();
    let weights = weights::pack(session.network(), &source, &weights)?;
    let slots = session.layout().pack_slots(session.network(), &source, OPTIMIZER, &session.slot_names()?, &slots)?;
    session.restore(&weights, &slots, &progress)?;
    Ok(progress.epochs)
}
