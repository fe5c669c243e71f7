//! The names that Keras gives to layers that have none: `conv2d`, `conv2d_1`, …. Keras 2 begins with `conv2d_1`, and all
//! of them count on from model to model within a process, so that a file may well tell of `conv2d_95`.

use std::collections::HashMap;

use crate::network::{Network, Node, PlacedLayer, snake_case};

/// The model's layers by what Keras 3 calls their groups in a file: their class, counted in Keras' order of the layers.
pub(crate) fn counted_by_class(network: &Network) -> HashMap<String, &str> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let counted = |placed: &'_ PlacedLayer| {
        let stem = snake_case(placed.layer.class_name());
        let count = counts.entry(stem.clone()).or_default();
        *count += 1;
        if *count == 1 { stem } else { format!("{stem}_{}", *count - 1) }
    };
    let layers: Vec<usize> = network.ordered().into_iter().filter_map(Node::layer).collect();
    let names: Vec<String> = layers.iter().map(|&index| &network.layers[index]).map(counted).collect();
    names.into_iter().zip(layers.iter().map(|&index| network.layers[index].name.as_str())).collect()
}

/// What a file's layers with weights are called in the model. Where the file has as many layers with names that Keras
/// counted as the model has of that class, the first is the first, and so on; all others keep their names.
pub(crate) fn in_model<'a>(names: impl Iterator<Item = &'a str>, network: &Network) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    let of_file = by_number(names.iter().copied());
    let with_weights = network.layers.iter().filter(|placed| !placed.variables.is_empty());
    let counted = with_weights.filter(|placed| split(&placed.name).0 == snake_case(placed.layer.class_name()));
    let of_model = by_number(counted.map(|placed| placed.name.as_str()));
    let mut renamed = HashMap::new();
    for (stem, of_model) in of_model {
        let of_file = of_file.get(stem).filter(|of_file| of_file.len() == of_model.len());
        renamed.extend(of_file.into_iter().flatten().copied().zip(of_model));
    }
    names.iter().map(|name| renamed.get(name).unwrap_or(name).to_string()).collect()
}

/// Names by what stands before their number, in the order of the numbers.
fn by_number<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, Vec<&'a str>> {
    let mut stems: HashMap<&str, Vec<&str>> = HashMap::new();
    for name in names {
        stems.entry(split(name).0).or_default().push(name);
    }
    stems.values_mut().for_each(|names| names.sort_by_key(|name| split(name).1));
    stems
}

/// `conv2d` and 7 of `conv2d_7`; a name without a number comes first.
fn split(name: &str) -> (&str, Option<u64>) {
    let number = |(stem, number): (&'_ str, &str)| number.parse().ok().map(|number| (stem.len(), number));
    match name.rsplit_once('_').and_then(number) {
        Some((stem, number)) => (&name[..stem], Some(number)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Dense, Flatten, Layer};
    use crate::{Model, Sequential};

    fn model() -> Model {
        let mut model = Sequential::new([2, 2]);
        model.add(Flatten).add(Dense::new(3)).add(Dense::new(3)).add(Dense::new(3).named("head")).add(Dense::new(1));
        model
    }

    fn renamed(names: &[&str]) -> Vec<String> {
        in_model(names.iter().copied(), model().network())
    }

    #[test]
    fn counters_begin_anywhere() {
        assert_eq!(renamed(&["dense", "dense_1", "head", "dense_2"]), ["dense", "dense_1", "head", "dense_2"]);
        assert_eq!(renamed(&["dense_1", "dense_2", "head", "dense_3"]), ["dense", "dense_1", "head", "dense_2"]);
        assert_eq!(renamed(&["dense_9", "dense_10", "head", "dense_11"]), ["dense", "dense_1", "head", "dense_2"]);
    }

    #[test]
    fn another_number_of_layers_is_left_as_it_is() {
        assert_eq!(renamed(&["dense_1", "dense_2", "head"]), ["dense_1", "dense_2", "head"]);
        assert_eq!(renamed(&["conv2d_1", "head_1"]), ["conv2d_1", "head_1"]);
    }

    #[test]
    fn groups_are_counted_by_class() {
        let model = model();
        let counted = counted_by_class(model.network());
        assert_eq!(
            [counted["flatten"], counted["dense"], counted["dense_2"], counted["dense_3"]],
            ["flatten", "dense", "head", "dense_2"]
        );
    }
}
