//! Keras' default names of layers: `conv2d`, `conv2d_1`, …. Keras 2 begins with `conv2d_1`, and the numbers continue
//! from model to model within a process, so a file may have `conv2d_95`. Layers are therefore matched by their order in
//! the file, which is that of the model's layers.

use std::collections::{HashMap, HashSet};

use crate::network::{Network, Node, PlacedLayer, snake_case};

/// The model's layers by the names of their groups in Keras 3's files: their class, numbered in Keras' order of the
/// layers.
pub(crate) fn counted_by_class(network: &Network) -> HashMap<String, &str> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let counted = |placed: &'_ PlacedLayer| {
        let stem = snake_case(placed.layer.class_name());
        let count = counts.entry(stem.clone()).or_default();
        *count += 1;
        if *count == 1 { stem } else { format!("{stem}_{}", *count - 1) }
    };
    let layers: Vec<&PlacedLayer> = in_order(network).collect();
    let names: Vec<String> = layers.iter().copied().map(counted).collect();
    names.into_iter().zip(layers.into_iter().map(|placed| placed.name.as_str())).collect()
}

/// Maps a file's layers with weights, in order, to the model's names. If file and model have equally many layers with
/// default names of a class, they are matched in order; all others keep their names. With `by_name`, so do layers whose
/// names are all in the model.
///
/// # Errors
/// If the names are the model's in another order, which is ambiguous.
pub(crate) fn in_model<'a>(
    names: impl Iterator<Item = &'a str>,
    network: &Network,
    by_name: bool,
) -> Result<Vec<String>, String> {
    let names: Vec<&str> = names.collect();
    let of_file = by_stem(names.iter().copied());
    let counted = |placed: &&PlacedLayer| {
        !placed.variables.is_empty() && split(&placed.name).0 == snake_case(placed.layer.class_name())
    };
    let of_model = by_stem(in_order(network).filter(counted).map(|placed| placed.name.as_str()));
    let as_made = by_stem(network.layers.iter().filter(counted).map(|placed| placed.name.as_str()));
    let mut renamed = HashMap::new();
    for (stem, of_model) in &of_model {
        let Some(of_file) = of_file.get(stem).filter(|of_file| of_file.len() == of_model.len()) else { continue };
        let same_names = || of_file.iter().collect::<HashSet<_>>() == of_model.iter().collect::<HashSet<_>>();
        // The order of creation is that of the file from which the model was loaded.
        let same_order = of_file == of_model || as_made.get(stem) == Some(of_file);
        match same_names() {
            true if same_order || by_name => {}
            true => {
                return Err(format!(
                    "the file lists {}, the model has {}, which is ambiguous; load `by_name` if \
                     their names match, or name the model's layers in the order of the file",
                    of_file.join(", "),
                    of_model.join(", ")
                ));
            }
            false => renamed.extend(of_file.iter().copied().zip(of_model.iter().copied())),
        }
    }
    Ok(names.iter().map(|name| renamed.get(name).unwrap_or(name).to_string()).collect())
}

/// A network's layers in Keras' order.
fn in_order(network: &Network) -> impl Iterator<Item = &PlacedLayer> {
    network.ordered().into_iter().filter_map(Node::layer).map(move |index| &network.layers[index])
}

/// Names by stem (without their number), in order.
fn by_stem<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, Vec<&'a str>> {
    let mut stems: HashMap<&str, Vec<&str>> = HashMap::new();
    for name in names {
        stems.entry(split(name).0).or_default().push(name);
    }
    stems
}

/// Splits `conv2d_7` into `conv2d` and 7; a name without a number sorts first.
pub(crate) fn split(name: &str) -> (&str, Option<u64>) {
    let number = |(stem, number): (&'_ str, &str)| number.parse().ok().map(|number| (stem.len(), number));
    match name.rsplit_once('_').and_then(number) {
        Some((stem, number)) => (&name[..stem], Some(number)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::layers::{Dense, Flatten, Layer};
    use crate::{Model, Sequential};

    fn model() -> Model {
        let mut model = Sequential::new([2, 2]);
        model.add(Flatten).add(Dense::new(3)).add(Dense::new(3)).add(Dense::new(3).named("head")).add(Dense::new(1));
        model
    }

    fn renamed(names: &[&str]) -> Vec<String> {
        in_model(names.iter().copied(), model().network(), false).unwrap()
    }

    #[test]
    fn counters_begin_anywhere() {
        assert_eq!(renamed(&["dense", "dense_1", "head", "dense_2"]), ["dense", "dense_1", "head", "dense_2"]);
        assert_eq!(renamed(&["dense_1", "dense_2", "head", "dense_3"]), ["dense", "dense_1", "head", "dense_2"]);
        assert_eq!(renamed(&["dense_9", "dense_10", "head", "dense_11"]), ["dense", "dense_1", "head", "dense_2"]);
    }

    #[test]
    fn the_order_of_the_file_counts_not_the_numbers() {
        assert_eq!(renamed(&["dense_7", "dense_5", "head", "dense_6"]), ["dense", "dense_1", "head", "dense_2"]);
    }

    #[test]
    fn the_same_names_in_another_order_are_an_error_unless_names_are_asked_for() {
        let names = ["dense_1", "dense", "head", "dense_2"];
        let error = in_model(names.into_iter(), model().network(), false).unwrap_err();
        let both =
            "the file lists dense_1, dense, dense_2, the model has dense, dense_1, dense_2, which is ambiguous; ";
        assert!(error.starts_with(both), "{error}");
        assert_eq!(in_model(names.into_iter(), model().network(), true).unwrap(), names);
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
