//! Matches the layers of a file with those of a model.

use std::collections::HashSet;

use hdf5_reader::{Dataset, Datatype};

use super::names::{self, in_model};
use super::tree::FileLayer;
use crate::network::{Member, Network, PlacedVariable, own_name};
use crate::saving::tensors::KernelLayout;
use crate::saving::weight_file::Candidate;

/// All weights of a file, with the names of the model's variables where they are known.
///
/// # Errors
/// If the order of the file's layers contradicts their names.
pub(super) fn matched(
    layers: Vec<FileLayer>,
    network: &Network,
    by_name: bool,
) -> Result<Vec<(Candidate, Dataset)>, String> {
    let mut matching = Matching { network, by_name, weights: Vec::new() };
    matching.add(layers, None, "")?;
    Ok(matching.weights)
}

struct Matching<'a> {
    network: &'a Network,
    by_name: bool,
    weights: Vec<(Candidate, Dataset)>,
}

impl Matching<'_> {
    /// Adds the layers of the network (`None`) or of a model within it.
    fn add(&mut self, layers: Vec<FileLayer>, model: Option<usize>, path: &str) -> Result<(), String> {
        let network = self.network;
        let counted = names::counted_by_class(network, model);
        let own = layers.iter().map(|layer| {
            let by_class = || counted.iter().find(|(group, _)| *group == layer.group);
            let name = layer.name.as_deref().or_else(|| Some(network.member_name(model, by_class()?.1)));
            name.unwrap_or(&layer.group)
        });
        let names = in_model(own, network, model, self.by_name)?;
        for (layer, name) in layers.into_iter().zip(names) {
            let member = counted
                .iter()
                .map(|(_, member)| *member)
                .find(|&member| !matches!(member, Member::Input(_)) && network.member_name(model, member) == name);
            let path = format!("{path}{name}/");
            match member {
                Some(Member::Model(inner)) if !layer.inner.is_empty() => self.add(layer.inner, Some(inner), &path)?,
                Some(Member::Model(inner)) => {
                    let variables = in_one_group(network, Member::Model(inner), &layer.datasets);
                    self.push(layer.datasets, variables, &path);
                }
                Some(Member::Layer(first)) => {
                    let variables = &network.variables[network.layers[first].variables.clone()];
                    let fits = variables.len() == layer.datasets.len();
                    self.push(layer.datasets, variables.iter().map(|variable| Some(variable).filter(|_| fits)), &path);
                    self.add_unknown(layer.inner, &path);
                }
                Some(Member::Input(_)) | None => {
                    self.push(layer.datasets, std::iter::empty(), &path);
                    self.add_unknown(layer.inner, &path);
                }
            }
        }
        Ok(())
    }

    /// Adds the layers of a model that the network does not have.
    fn add_unknown(&mut self, layers: Vec<FileLayer>, path: &str) {
        for layer in layers {
            let path = format!("{path}{}/", layer.name.unwrap_or(layer.group));
            self.push(layer.datasets, std::iter::empty(), &path);
            self.add_unknown(layer.inner, &path);
        }
    }

    /// Adds a layer's data sets, and their variables as far as known.
    fn push<'b>(
        &mut self,
        datasets: Vec<(String, Dataset)>,
        variables: impl IntoIterator<Item = Option<&'b PlacedVariable>>,
        path: &str,
    ) {
        let mut variables = variables.into_iter();
        for (name, dataset) in datasets {
            let variable = variables.next().flatten().map(|variable| variable.name.clone());
            let candidate = Candidate {
                name: variable.unwrap_or_else(|| format!("{path}{}", without_number(own_name(&name)))),
                shape: dataset.shape().iter().map(|&extent| extent as usize).collect::<Vec<_>>().into(),
                place: self.weights.len(),
                layout: KernelLayout::Keras,
                scale: None,
                unread: unread(&dataset),
            };
            self.weights.push((candidate, dataset));
        }
    }
}

/// The variables of a model within, which Keras 1 and 2 store in one group: those of the same names
/// (`…/layer/variable:0`), or if there are others, in Keras' order: first all trainable ones, then the others.
fn in_one_group<'a>(
    network: &'a Network,
    model: Member,
    datasets: &[(String, Dataset)],
) -> Vec<Option<&'a PlacedVariable>> {
    let layers = network.layers_of(model).into_iter();
    let variables = layers.flat_map(|layer| &network.variables[network.layers[layer].variables.clone()]);
    let (mut ordered, others): (Vec<&PlacedVariable>, Vec<&PlacedVariable>) =
        variables.partition(|variable| network.trains(variable));
    ordered.extend(others);
    if ordered.len() != datasets.len() {
        return vec![None; datasets.len()];
    }
    let last_two = |path: &'_ str| {
        let (layer, name) = path.rsplit_once('/')?;
        Some((own_name(layer).to_owned(), without_number(name).to_owned()))
    };
    let named = |(path, _): &(String, Dataset)| {
        let wanted = last_two(path)?;
        let mut same = ordered.iter().filter(|variable| last_two(&variable.name).as_ref() == Some(&wanted));
        same.next().copied().filter(|_| same.next().is_none())
    };
    let by_name: Option<Vec<&PlacedVariable>> = datasets.iter().map(named).collect();
    let distinct = |variables: &Vec<&PlacedVariable>| {
        variables.iter().map(|variable| variable.start).collect::<HashSet<_>>().len() == variables.len()
    };
    by_name.filter(distinct).unwrap_or(ordered).into_iter().map(Some).collect()
}

/// `kernel` of `kernel:0`.
fn without_number(name: &str) -> &str {
    name.strip_suffix(":0").unwrap_or(name)
}

/// The element type, if it is unsupported. Integers are only counters, as of `Normalization`.
fn unread(dataset: &Dataset) -> Option<String> {
    match dataset.dtype() {
        Datatype::FloatingPoint { size: 2 | 4, .. } => None,
        Datatype::FixedPoint { size: 4 | 8, signed: true, .. } if dataset.shape().is_empty() => None,
        Datatype::FloatingPoint { size, .. } => Some(format!("F{}", 8 * u32::from(*size))),
        Datatype::FixedPoint { size, signed, .. } => {
            Some(format!("{}{}", if *signed { 'I' } else { 'U' }, 8 * u32::from(*size)))
        }
        other => Some(format!("{other:?}")),
    }
}
