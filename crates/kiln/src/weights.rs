//! The weights of a model, by name and concatenated.

use std::collections::BTreeMap;

use kiln_graph::Shape;

use crate::network::Network;
use crate::{Error, Result, WeightsError, memory};

/// The values of one variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// `layer/variable`: `conv1/kernel`.
    pub name: String,
    /// The extents, in elements, in Keras' layout.
    pub shape: Shape,
    /// The values in row-major order.
    pub values: Vec<f32>,
}

/// The values of all variables of a network: those in `known`, then initial values.
///
/// # Errors
/// [`Error::Memory`] if they do not fit in memory.
pub(crate) fn draw(network: &Network, seed: u64, known: Vec<f32>) -> Result<Vec<f32>> {
    let mut flat = known;
    let done = flat.len();
    if network.values() > done {
        // The largest variable is initialised in addition to the others.
        let largest = network.variables.iter().map(|variable| variable.shape.elements()).max().unwrap_or(0);
        let (what, bytes) =
            (|| format!("the weights of model `{}`", network.name), (network.values() - done + largest) as u64 * 4);
        let free = memory::free();
        memory::check(what, bytes, free)?;
        let room = flat.try_reserve_exact(network.values() - done);
        room.map_err(|_| Error::Memory { what: what(), bytes, free })?;
    }
    flat.resize(network.values(), 0.0);
    for (index, variable) in network.variables.iter().enumerate().filter(|(_, variable)| variable.start >= done) {
        let values = variable.initializer.values(&variable.shape, seed, index);
        flat[variable.range()].copy_from_slice(&values);
    }
    Ok(flat)
}

/// Splits concatenated values into variables.
pub(crate) fn unpack(network: &Network, flat: &[f32]) -> Vec<Weight> {
    let unpack = network.variables.iter().map(|variable| Weight {
        name: variable.name.clone(),
        shape: variable.shape.clone(),
        values: flat[variable.range()].to_vec(),
    });
    unpack.collect()
}

/// Concatenates the values of these weights in the network's order.
///
/// # Errors
/// If they are not exactly the network's, with a list of all problems.
pub(crate) fn pack(network: &Network, source: &str, weights: &[Weight]) -> Result<Vec<f32>> {
    let shapes = network.variables.iter().map(|variable| (variable.name.clone(), &variable.shape));
    let found = matched(&network.name, source, shapes, weights)?;
    Ok(found.into_iter().flat_map(|weight| weight.values.iter().copied()).collect())
}

/// Selects the weights with the expected names, in that order.
///
/// # Errors
/// If they are not exactly as expected, with a list of all problems.
pub(crate) fn matched<'a, 'b>(
    model: &str,
    source: &str,
    expected: impl Iterator<Item = (String, &'b Shape)>,
    weights: &'a [Weight],
) -> Result<Vec<&'a Weight>> {
    let mut given: BTreeMap<&str, &Weight> = weights.iter().map(|weight| (weight.name.as_str(), weight)).collect();
    let mut found = Vec::new();
    let mut error = WeightsError::new(model, source);
    for (name, shape) in expected {
        match given.remove(name.as_str()) {
            None => error.missing.push(format!("{name} {shape}")),
            Some(weight) if weight.shape != *shape || weight.values.len() != shape.elements() => {
                error.misshapen.push((name, weight.shape.clone(), shape.clone()));
            }
            Some(weight) => found.push(weight),
        }
    }
    error.extra = given.values().map(|weight| format!("{} {}", weight.name, weight.shape)).collect();
    if error.is_empty() { Ok(found) } else { Err(error.into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::layers::Dense;
    use crate::{Model, Sequential};

    fn model(units: usize) -> Model {
        let mut model = Sequential::new([2]);
        model.add(Dense::new(units)).add(Dense::new(1));
        model
    }

    #[test]
    fn weights_that_were_set_are_got_back() {
        let mut new = model(3).get_weights().unwrap();
        new[1].values = vec![1.0, 2.0, 3.0];
        new.reverse();
        let mut model = model(3);
        model.set_weights(&new).unwrap();
        new.reverse();
        assert_eq!(model.get_weights().unwrap(), new);
        assert_eq!(new[0].name, "dense/kernel");
    }

    #[test]
    fn one_seed_gives_one_set_of_weights() {
        let with_seed = |seed| {
            let mut model = model(3);
            model.initialize(seed).unwrap();
            model.get_weights().unwrap()
        };
        assert_eq!(with_seed(5), with_seed(5));
        assert_ne!(with_seed(5), with_seed(6));
        assert_eq!(model(3).get_weights().unwrap(), with_seed(0));
    }

    #[test]
    fn a_layer_that_is_added_leaves_the_weights_before_it() {
        let mut model = model(3);
        model.initialize(9).unwrap();
        let before = model.get_weights().unwrap();
        model.add(Dense::new(7));
        assert_eq!(model.get_weights().unwrap()[..4], before);
    }

    #[test]
    fn all_that_does_not_fit_is_listed() {
        let mut weights = model(4).get_weights().unwrap();
        weights.remove(3);
        weights.push(Weight { name: "head/bias".to_owned(), shape: Shape::from([1]), values: vec![0.0] });
        let error = model(3).set_weights(&weights).unwrap_err().to_string();
        assert_eq!(
            error,
            "the list of weights does not fit model `sequential`:\
             \n  dense_1/bias [1] is missing\
             \n  head/bias [1] is not in the model\
             \n  dense/kernel is [2, 4], the model has [2, 3]\
             \n  dense/bias is [4], the model has [3]\
             \n  dense_1/kernel is [4, 1], the model has [3, 1]"
        );
    }
}
