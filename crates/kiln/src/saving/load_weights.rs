//! The weights of a file for a model: which tensor is which variable, and what to do with those that do not fit.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::weight_file::{Candidate, WeightFile};
use crate::network::Network;
use crate::{Result, WeightsError};

/// What [`Model::load_weights_with`](crate::Model::load_weights_with) does with layers that do not fit. By
/// default, a file has to hold exactly the weights of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadWeights {
    /// Whether layers that only the file or only the model has are left out: for a model without the file's top, or with
    /// another one. In Keras' HDF5 files, names that Keras counted (`conv2d_5`) otherwise mean the order in which the file
    /// lists its layers, and a file whose names are the model's in another order is an error.
    pub by_name: bool,
    /// Whether layers whose variables have another number, shape or type in the file are left out: for a model with
    /// another number of classes.
    pub skip_mismatch: bool,
}

/// A model's weights with those of a file.
pub(crate) struct Loaded {
    /// All values, one after the other in the network's order.
    pub values: Vec<f32>,
    /// The layers with weights that keep theirs.
    pub kept: Vec<String>,
}

/// Reads weights for a model. `values` gives those that the model has, if some are kept.
///
/// # Errors
/// When the file cannot be read or does not fit: all that is missing, too much or of another shape. When all that the
/// options leave is nothing, too.
pub(crate) fn load_weights(
    network: &Network,
    path: &Path,
    options: LoadWeights,
    values: impl FnOnce() -> Result<Vec<f32>>,
) -> Result<Loaded> {
    let (file, candidates) = WeightFile::open(path, network, options.by_name)?;
    let source = path.display().to_string();
    let mut choice = choose(network, &source, &candidates, options)?;
    if choice.variables.iter().all(Option::is_none) {
        choice = choose(network, &source, &candidates, LoadWeights::default())?;
    }
    let mut values = if choice.kept.is_empty() { vec![0.0; network.values()] } else { values()? };
    for (variable, candidate) in network.variables.iter().zip(choice.variables) {
        if let Some(candidate) = candidate {
            file.read(candidate, &mut values[variable.range()])?;
        }
    }
    Ok(Loaded { values, kept: choice.kept })
}

/// Which tensor each variable gets.
struct Choice<'a> {
    variables: Vec<Option<&'a Candidate>>,
    kept: Vec<String>,
}

fn choose<'a>(network: &Network, source: &str, given: &'a [Candidate], options: LoadWeights) -> Result<Choice<'a>> {
    let mut given: BTreeMap<(&str, &str), &Candidate> =
        given.iter().map(|candidate| (layer_and_variable(&candidate.name), candidate)).collect();
    let in_file: HashSet<&str> = given.keys().map(|&(layer, _)| layer).collect();
    let mut error = WeightsError::new(&network.name, source);
    let (mut variables, mut kept, mut only_in_model, mut misfits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for placed in network.layers.iter().filter(|placed| !placed.variables.is_empty()) {
        let mut problems = WeightsError::new(&network.name, source);
        let first = variables.len();
        for variable in &network.variables[placed.variables.clone()] {
            let candidate = given.remove(&layer_and_variable(&variable.name));
            variables.push(candidate);
            match candidate {
                None => problems.missing.push(format!("{} {}", variable.name, variable.shape)),
                Some(Candidate { shape, .. }) if *shape != variable.shape => {
                    problems.misshapen.push((variable.name.clone(), shape.clone(), variable.shape.clone()));
                }
                Some(Candidate { unread: Some(dtype), .. }) => {
                    problems.mistyped.push((variable.name.clone(), dtype.clone()));
                }
                Some(_) => {}
            }
        }
        let too_many = given.extract_if(.., |&(layer, _), _| layer == placed.name);
        problems.extra.extend(too_many.map(|(_, candidate)| format!("{} {}", candidate.name, candidate.shape)));
        let absent = !in_file.contains(placed.name.as_str());
        if problems.is_empty() {
            continue;
        }
        let left_out = if absent { options.by_name } else { options.skip_mismatch };
        if left_out {
            variables[first..].fill(None);
            kept.push(placed.name.clone());
        } else {
            if absent { &mut only_in_model } else { &mut misfits }.push(placed.name.as_str());
            error.append(problems);
        }
    }
    let mut only_in_file: Vec<&str> = Vec::new();
    if !options.by_name {
        error.extra.extend(given.values().map(|candidate| format!("{} {}", candidate.name, candidate.shape)));
        only_in_file.extend(given.keys().map(|&(layer, _)| layer));
        only_in_file.dedup();
    }
    if error.is_empty() {
        return Ok(Choice { variables, kept });
    }
    if in_file.len() > only_in_file.len() + misfits.len() {
        // Some layers fit: it is the right model, or most of it.
        error.hints = [
            (only_in_model, "only the model has", "with `by_name`, they keep their weights"),
            (only_in_file, "only the file has", "with `by_name`, they are left out"),
            (misfits, "the file has other variables in", "with `skip_mismatch`, they keep their weights"),
        ]
        .into_iter()
        .filter(|(layers, ..)| !layers.is_empty())
        .map(|(layers, who, option)| format!("{who} {}; {option}", layers.join(", ")))
        .collect();
    }
    Err(error.into())
}

/// The two parts of `layer/variable`. What has no `/` is a layer of its own.
fn layer_and_variable(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((name, ""))
}
