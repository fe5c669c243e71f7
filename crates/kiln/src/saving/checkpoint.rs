//! Checkpoints: a training in one safetensors file. The weights are under `layer/variable`, the optimizer's slots under
//! `optimizer/slot/layer/variable`, the tensors of the n-th callback under `callback/n/name`; the metadata holds the
//! progress and other callback states. A single file keeps its parts consistent.

use std::path::Path;

use kiln_graph::block_on;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tensors::{TensorFile, write_tensors};
use crate::callbacks::CallbackState;
use crate::optimizers::ParameterGroup;
use crate::session::Progress;
use crate::weights::{self, Weight};
use crate::{Error, LossScale, Model, Precision, Result};

/// The keys of the metadata.
const TRAINING: &str = "kiln.training";
const CALLBACKS: &str = "kiln.callbacks";
/// The prefix of the names of the optimizer's tensors.
pub(super) const OPTIMIZER: &str = "optimizer/";
/// The prefix of the names of callbacks' tensors.
const CALLBACK: &str = "callback/";

/// The state of a callback without its tensors.
#[derive(Serialize, Deserialize)]
struct SavedState {
    name: String,
    values: Value,
    /// The names of its tensors in their order, which differs from that of the file.
    tensors: Vec<String>,
}

/// Writes the training of a compiled model to a file.
pub(crate) fn save(model: &Model, path: &Path) -> Result<()> {
    let mut tensors = model.get_weights()?;
    let session = model.trained("save_checkpoint")?;
    if model.callbacks().ending_epoch {
        return Err(Error::CheckpointTooEarly);
    }
    for (slot, values) in block_on(session.slots())? {
        let named = |weight: Weight| Weight { name: format!("{OPTIMIZER}{slot}/{}", weight.name), ..weight };
        tensors.extend(session.layout().unpack(session.network(), &values).into_iter().map(named));
    }
    let mut callbacks = Vec::new();
    for (index, state) in model.callbacks().states.iter().enumerate() {
        let named = |tensor: &Weight| Weight { name: format!("{CALLBACK}{index}/{}", tensor.name), ..tensor.clone() };
        tensors.extend(state.tensors().iter().map(named));
        let names = state.tensors().iter().map(|tensor| tensor.name.clone()).collect();
        callbacks.push(SavedState { name: state.name().to_owned(), values: state.json().clone(), tensors: names });
    }
    let format = |error: serde_json::Error| Error::Format { path: path.to_owned(), problem: error.to_string() };
    let loss_scale = block_on(session.loss_scale()?)?;
    let progress = serde_json::to_string(&session.progress(loss_scale)?).map_err(format)?;
    let callbacks = serde_json::to_string(&callbacks).map_err(format)?;
    write_tensors(path, &tensors, Some([(TRAINING.to_owned(), progress), (CALLBACKS.to_owned(), callbacks)].into()))
}

/// Restores the training of a compiled model from a file, and stores the callbacks' states for the next `fit`. Returns the
/// number of completed epochs.
pub(crate) fn load(model: &mut Model, path: &Path) -> Result<usize> {
    #[cfg(feature = "hdf5")]
    if super::weight_file::first_bytes(path)?.starts_with(b"PK") {
        return super::keras_training::load(model, path).map(|()| 0);
    }
    let file = TensorFile::open(path)?;
    let format = |problem: String| Error::Format { path: path.to_owned(), problem };
    let (Some(progress), Some(callbacks)) = (file.metadata.get(TRAINING), file.metadata.get(CALLBACKS)) else {
        return Err(format("expected a checkpoint written by `save_checkpoint`, found no training state".to_owned()));
    };
    let progress: Progress = serde_json::from_str(progress).map_err(|error| format(error.to_string()))?;
    let callbacks: Vec<SavedState> = serde_json::from_str(callbacks).map_err(|error| format(error.to_string()))?;
    let (slots, weights): (Vec<Weight>, Vec<Weight>) =
        file.read_all(model.name())?.into_iter().partition(|tensor| tensor.name.starts_with(OPTIMIZER));
    let (kept, weights) = weights.into_iter().partition(|tensor| tensor.name.starts_with(CALLBACK));
    let callbacks = states(callbacks, kept).map_err(format)?;

    let session = model.session("load_checkpoint")?;
    let loss_scale = block_on(session.loss_scale()?)?;
    let Progress { optimizer: expected, groups, .. } = session.progress(loss_scale)?;
    if progress.optimizer != expected {
        let found = &progress.optimizer;
        return Err(format(format!(
            "expected a checkpoint with the optimizer {expected}, as the model is compiled with, found {found}"
        )));
    }
    if progress.loss_scale.is_some() != loss_scale.is_some() {
        let precision = |state: Option<LossScale>| if state.is_some() { Precision::Mixed } else { Precision::Float32 };
        let (expected, found) = (precision(loss_scale), precision(progress.loss_scale));
        return Err(format(format!(
            "expected a checkpoint of a training in precision {expected}, as the model is compiled with, found one in \
             {found}; set `Compile::precision` to continue it"
        )));
    }
    let source = path.display().to_string();
    if progress.groups != groups {
        return Err(format(format!(
            "expected the layers' own learning rate factors and weight decays to be {}, as the model is compiled with, \
             found {}; set them with `LayerList::set_learning_rate_factor` and `set_weight_decay` before `compile`",
            words(&groups),
            words(&progress.groups)
        )));
    }
    let weights = weights::pack(session.network(), &source, &weights)?;
    let slots = session.layout().pack_slots(session.network(), &source, OPTIMIZER, &session.slot_names()?, &slots)?;
    session.restore(&weights, &slots, &progress)?;
    model.callbacks_mut().resume(callbacks, progress.epochs);
    Ok(progress.epochs)
}

/// Layers with their own learning rate factors and weight decays, as text.
fn words(groups: &[(String, ParameterGroup)]) -> String {
    let group = |(layer, group): &(String, ParameterGroup)| {
        let decay = group.weight_decay.map(|rate| format!(", weight_decay {rate}")).unwrap_or_default();
        format!("{layer}: learning_rate_factor {}{decay}", group.learning_rate_factor)
    };
    if groups.is_empty() { "none".to_owned() } else { groups.iter().map(group).collect::<Vec<_>>().join("; ") }
}

/// The states of callbacks, each with the tensors whose names contain its index.
fn states(saved: Vec<SavedState>, tensors: Vec<Weight>) -> std::result::Result<Vec<CallbackState>, String> {
    let mut own = vec![Vec::new(); saved.len()];
    for tensor in tensors {
        let place = tensor.name.strip_prefix(CALLBACK).and_then(|name| name.split_once('/'));
        let place = place.and_then(|(index, name)| Some((index.parse::<usize>().ok()?, name.to_owned())));
        match place.and_then(|(index, name)| Some((own.get_mut(index)?, name))) {
            Some((own, name)) => own.push(Weight { name, ..tensor }),
            None => return Err(format!("{}: expected a tensor of one of {} callbacks", tensor.name, saved.len())),
        }
    }
    let state = |(saved, mut own): (SavedState, Vec<Weight>)| {
        own.sort_by_key(|tensor| saved.tensors.iter().position(|name| *name == tensor.name));
        CallbackState::of(saved.name, saved.values, own.into())
    };
    Ok(saved.into_iter().zip(own).map(state).collect())
}
