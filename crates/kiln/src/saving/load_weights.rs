//! Loads the weights of a file: matches tensors with variables, and handles mismatches.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::torch_names;
use super::weight_file::{Candidate, WeightFile};
use crate::network::Network;
use crate::{Result, WeightsError};

/// The handling of mismatched layers in [`Model::load_weights_with`](crate::Model::load_weights_with). By default, a
/// file must have exactly the weights of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadWeights {
    /// Whether to skip layers that only the file or only the model has, for example for a model with no top or a
    /// different one. Without it, layers with default names (`conv2d_5`) in Keras' HDF5 files are matched in order, and
    /// a file with the model's names in another order is an error.
    pub by_name: bool,
    /// Whether to skip layers whose variables differ in number, shape or type, for example for a model with another
    /// number of classes.
    pub skip_mismatch: bool,
}

/// A model's weights, updated from a file.
pub(crate) struct Loaded {
    /// All values, concatenated in the network's order.
    pub values: Vec<f32>,
    /// The layers that keep their weights.
    pub kept: Vec<String>,
}

/// Reads weights for a model. `values` returns the model's current weights, if some are kept.
///
/// # Errors
/// If the file cannot be read or does not match, with all missing, extra and mismatched tensors, or if no weights
/// remain to load.
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

/// The tensor of each variable.
struct Choice<'a> {
    variables: Vec<Option<&'a Candidate>>,
    kept: Vec<String>,
}

fn choose<'a>(network: &Network, source: &str, given: &'a [Candidate], options: LoadWeights) -> Result<Choice<'a>> {
    let of_torchvision = torch_names::hint(given);
    let mut given: BTreeMap<(&str, &str), &Candidate> =
        given.iter().map(|candidate| (layer_and_variable(&candidate.name), candidate)).collect();
    let in_file: HashSet<&str> = given.keys().map(|&(layer, _)| layer).collect();
    let mut error = WeightsError::new(&network.name, source);
    let (mut variables, mut kept, mut only_in_model, mut misfits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for placed in network
        .layers
        .iter()
        .enumerate()
        .filter(|(index, placed)| placed.first == *index && !placed.variables.is_empty())
        .map(|(_, placed)| placed)
    {
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
        // Some layers match, so it is at least partly the right model.
        error.hints = [
            (only_in_model, "only the model has", "with `by_name`, they keep their weights"),
            (only_in_file, "only the file has", "with `by_name`, they are left out"),
            (misfits, "the file has other variables in", "with `skip_mismatch`, they keep their weights"),
        ]
        .into_iter()
        .filter(|(layers, ..)| !layers.is_empty())
        .map(|(layers, who, option)| format!("{who} {}; {option}", layers.join(", ")))
        .collect();
    } else {
        error.hints.extend(of_torchvision);
    }
    Err(error.into())
}

/// Splits `layer/variable`, where the layer may be a path. A name without `/` is a layer.
fn layer_and_variable(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or((name, ""))
}
