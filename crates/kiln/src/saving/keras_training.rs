//! The state of a training in a `.keras` file of a compiled model: the weights, and the optimizer's slots and steps.

use std::collections::HashMap;
use std::path::Path;

use kiln_graph::{Shape, block_on};
use serde_json::Value;

use super::checkpoint::OPTIMIZER;
use super::hdf5::optimizer_variables;
use super::load_weights::{LoadWeights, load_weights};
use super::model_json::{Reading, from_json};
use super::{archive, weight_file};
use crate::layers::Registry;
use crate::network::{Network, Node};
use crate::session::Progress;
use crate::weights::Weight;
use crate::{Error, Model, Result};

/// The slots of Keras' optimizers in the order of the file: those of one list follow each other for each variable, one
/// list follows the other. Slots that the optimizer's arguments do not need are left out.
const SLOTS: [(&str, &[&[&str]]); 6] = [
    ("sgd", &[&["momentum"]]),
    ("adam", &[&["momentum", "velocity"], &["velocity_hat"]]),
    ("adamw", &[&["momentum", "velocity"], &["velocity_hat"]]),
    ("rmsprop", &[&["velocity"], &["momentum"], &["average_gradient"]]),
    ("adagrad", &[&["accumulator"]]),
    ("adadelta", &[&["accumulated_grad", "accumulated_delta_var"]]),
];

/// Restores the training of a compiled model. Keras does not save the number of epochs.
///
/// # Errors
/// If the file cannot be read or has no training, or one with another optimizer or other variables.
pub(super) fn load(model: &mut Model, path: &Path) -> Result<()> {
    let format = |problem: String| Error::Format { path: path.to_owned(), problem };
    let config = archive::config(path)?;
    let optimizer = config.pointer("/compile_config/optimizer/class_name").and_then(Value::as_str);
    let found =
        optimizer.ok_or_else(|| format("expected a compiled model, found one without an optimizer".to_owned()))?;
    let values = load_weights(model.network(), path, LoadWeights::default(), || Ok(Vec::new()))?.values;
    let session = model.session("load_checkpoint")?;
    let loss_scale = block_on(session.loss_scale()?)?;
    let progress = session.progress(loss_scale)?;
    if progress.optimizer != found.to_lowercase() {
        let expected = &progress.optimizer;
        return Err(format(format!(
            "expected a training with the optimizer {expected}, as the model is compiled with, found {found}"
        )));
    }
    let (_, lists) = SLOTS.iter().find(|(name, _)| *name == progress.optimizer).ok_or_else(|| {
        format(format!("Kiln does not know the order of the state of {found} in Keras' files; load the weights only"))
    })?;
    let network = session.network();
    let bytes = archive::member(path, archive::WEIGHTS, weight_file::most_bytes(network))?;
    let mut variables = optimizer_variables(bytes, path, most_values(network))?.into_iter();
    let trained = in_file_order(network, &config).map_err(format)?;
    let names = session.slot_names()?;
    let mut slots = Vec::new();
    let (iterations, learning_rate) = match (variables.next(), variables.next()) {
        (Some(iterations), Some(rate)) if iterations.len() == 1 && rate.len() == 1 => (iterations[0], rate[0]),
        _ => return Err(format("optimizer: expected the number of steps and a constant learning rate".to_owned())),
    };
    for list in *lists {
        let list: Vec<&str> = list.iter().copied().filter(|slot| names.iter().any(|name| name == slot)).collect();
        for &variable in &trained {
            for slot in &list {
                let variable = &network.variables[variable];
                let name = format!("{OPTIMIZER}{slot}/{}", variable.name);
                let expected =
                    || format(format!("{name}: expected {} values of the optimizer's state", variable.shape));
                let values = variables.next().filter(|values| values.len() == variable.shape.elements());
                let values = values.ok_or_else(expected)?.into_iter().map(|value| value as f32).collect();
                slots.push(Weight { name, shape: variable.shape.clone(), values });
            }
        }
    }
    if variables.next().is_some() {
        let expected = "optimizer: expected the state of the model's trained variables, found more; the optimizer's arguments \
                        and the frozen layers must be those of the training";
        return Err(format(expected.to_owned()));
    }
    let slots = session.layout().pack_slots(network, &path.display().to_string(), OPTIMIZER, &names, &slots)?;
    let (iterations, learning_rate) = (iterations as u64, Some(learning_rate));
    session.restore(&values, &slots, &Progress { epochs: 0, iterations, learning_rate, ..progress })?;
    model.callbacks_mut().resume(Vec::new(), 0);
    Ok(())
}

/// The largest number of values of an optimizer: its slots for each variable, the number of steps and the learning rate.
fn most_values(network: &Network) -> u64 {
    const SLOTS: u64 = 4;
    const OTHERS: u64 = 1024;
    (network.values() as u64).saturating_mul(SLOTS).saturating_add(OTHERS)
}

/// The indices of the variables that are trained, in the order of the model in the file, which may have the same layers in
/// another order.
fn in_file_order(network: &Network, config: &Value) -> std::result::Result<Vec<usize>, String> {
    let registry = Registry::default();
    let shapes: Vec<Shape> = network.inputs.iter().map(|input| input.shape.clone()).collect();
    let reading = Reading { registry: &registry, input_shapes: &shapes };
    let saved = from_json(config, reading)?;
    let own = trained_variables(network);
    let places: HashMap<&str, usize> =
        own.into_iter().map(|variable| (network.variables[variable].name.as_str(), variable)).collect();
    let names: Vec<&str> =
        trained_variables(&saved).into_iter().map(|variable| saved.variables[variable].name.as_str()).collect();
    let ordered: Option<Vec<usize>> = names.iter().map(|name| places.get(name).copied()).collect();
    ordered.filter(|ordered| ordered.len() == places.len()).ok_or_else(|| {
        let only_in_model = || places.keys().copied().filter(|name| !names.contains(name)).min();
        let found = match names.iter().copied().find(|name| !places.contains_key(name)) {
            Some(name) => format!("{name} in the file only"),
            None => format!("{} in the model only", only_in_model().unwrap_or("one")),
        };
        format!(
            "optimizer: expected the state of the model's trained variables, found {found}; create the model with \
             `Model::load` of this file, and freeze the layers that were frozen in the training"
        )
    })
}

/// The indices of the variables that are trained, in Keras' order.
fn trained_variables(network: &Network) -> Vec<usize> {
    let layers = network.ordered().into_iter().filter_map(Node::layer);
    let variables = layers.flat_map(|layer| network.layers[layer].variables.clone());
    variables.filter(|&variable| network.trains(&network.variables[variable])).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::super::model_json::to_json;
    use super::*;
    use crate::layers::{Add, Dense, Layer};

    /// A model with two branches, which are added in this order.
    fn branches(order: [usize; 2]) -> Model {
        let mut model = Model::new([2]);
        let x = model.input();
        let p = model.apply(Dense::new(2).use_bias(false).named("p"), x);
        let q = model.apply(Dense::new(2).use_bias(false).named("q"), x);
        model.apply(Add::default(), order.map(|branch| [p, q][branch]));
        model
    }

    #[test]
    fn slots_are_in_the_order_of_the_model_in_the_file() {
        let mut model = branches([0, 1]);
        let names = |model: &Model, saved: &Model| -> std::result::Result<Vec<String>, String> {
            let network = model.network();
            let order = in_file_order(network, &to_json(saved.network()).unwrap())?;
            Ok(order.into_iter().map(|variable| network.variables[variable].name.clone()).collect())
        };
        assert_eq!(names(&model, &branches([0, 1])).unwrap(), ["p/kernel", "q/kernel"]);
        assert_eq!(names(&model, &branches([1, 0])).unwrap(), ["q/kernel", "p/kernel"]);
        model.set_trainable("q", false).unwrap();
        let error = names(&model, &branches([0, 1])).unwrap_err();
        assert!(error.contains("found q/kernel in the file only"), "{error}");
    }
}
