//! Keras' default names of layers: `conv2d`, `conv2d_1`, …. Keras 2 begins with `conv2d_1`, and the numbers continue
//! from model to model within a process, so a file may have `conv2d_95`. Layers are therefore matched by their order in
//! the file, which is that of the model's layers.

use std::collections::{HashMap, HashSet};

use crate::network::{Member, ModelClass, Network, Scope, snake_case};

/// The layers of the network (`None`) or of a model within it, in Keras' order, with the names of their groups in
/// Keras 3's files: their class, numbered.
pub(super) fn counted_by_class(network: &Network, model: Option<usize>) -> Vec<(String, Member)> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let counted = |member: Member| {
        let stem = snake_case(match member {
            Member::Model(model) => network.class_in_files(Some(model)).name(),
            Member::Input(_) | Member::Layer(_) => network.member_class(member),
        });
        let count = counts.entry(stem.clone()).or_default();
        *count += 1;
        (if *count == 1 { stem } else { format!("{stem}_{}", *count - 1) }, member)
    };
    let class = network.class_in_files(model);
    let members = network.scope(model).members.into_iter();
    let has_group = |member: &Member| !matches!(member, Member::Input(_)) || class == ModelClass::Functional;
    members.filter(has_group).map(counted).collect()
}

/// Maps a file's layers with weights, in order, to the names in the network (`None`) or a model within it. If file and
/// model have equally many layers with default names of a class, they are matched in order; all others keep their
/// names. With `by_name`, so do layers whose names are all in the model.
///
/// # Errors
/// If the names are the model's in another order, which is ambiguous.
pub(super) fn in_model<'a>(
    names: impl Iterator<Item = &'a str>,
    network: &Network,
    model: Option<usize>,
    by_name: bool,
) -> Result<Vec<String>, String> {
    let names: Vec<&str> = names.collect();
    let of_file = by_stem(names.iter().copied());
    let Scope { members, calls, .. } = network.scope(model);
    let name = |member: Member| network.member_name(model, member);
    let has_variables =
        |member: Member| network.layers_of(member).into_iter().any(|layer| !network.layers[layer].variables.is_empty());
    let counted =
        |&member: &Member| split(name(member)).0 == snake_case(network.member_class(member)) && has_variables(member);
    let of_model = by_stem(members.into_iter().filter(counted).map(name));
    let created = calls.iter().filter(|call| call.number == 0).map(|call| call.member);
    let as_made = by_stem(created.filter(counted).map(name));
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

/// Names by stem (without their number), in order.
fn by_stem<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, Vec<&'a str>> {
    let mut stems: HashMap<&str, Vec<&str>> = HashMap::new();
    for name in names {
        stems.entry(split(name).0).or_default().push(name);
    }
    stems
}

/// Splits `conv2d_7` into `conv2d` and 7; a name without a number sorts first.
pub(super) fn split(name: &str) -> (&str, Option<u64>) {
    let number = |(stem, number): (&'_ str, &str)| number.parse().ok().map(|number| (stem.len(), number));
    match name.rsplit_once('_').and_then(number) {
        Some((stem, number)) => (&name[..stem], Some(number)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use kiln_graph::Shape;

    use super::*;
    use crate::layers::{Dense, Flatten, Layer};
    use crate::saving::model_json::to_json;
    use crate::{Model, Sequential};

    fn model() -> Model {
        let mut model = Sequential::new([2, 2]);
        model.add(Flatten).add(Dense::new(3)).add(Dense::new(3)).add(Dense::new(3).named("head")).add(Dense::new(1));
        model
    }

    fn renamed(names: &[&str]) -> Vec<String> {
        in_model(names.iter().copied(), model().network(), None, false).unwrap()
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
        let error = in_model(names.into_iter(), model().network(), None, false).unwrap_err();
        let both =
            "the file lists dense_1, dense, dense_2, the model has dense, dense_1, dense_2, which is ambiguous; ";
        assert!(error.starts_with(both), "{error}");
        assert_eq!(in_model(names.into_iter(), model().network(), None, true).unwrap(), names);
    }

    #[test]
    fn another_number_of_layers_is_left_as_it_is() {
        assert_eq!(renamed(&["dense_1", "dense_2", "head"]), ["dense_1", "dense_2", "head"]);
        assert_eq!(renamed(&["conv2d_1", "head_1"]), ["conv2d_1", "head_1"]);
    }

    #[test]
    fn a_sequence_that_is_written_as_a_graph_has_the_group_of_one() {
        let mut inner = Network::new(ModelClass::Sequential, Shape::from([2]));
        inner.push(Dense::new(2).into());
        let mut outer = Network::new(ModelClass::Functional, Shape::from([2]));
        let input = outer.input();
        outer.push_model(&inner, &[input], Some(false));
        let groups = |model| counted_by_class(&outer, model).into_iter().map(|(group, _)| group).collect::<Vec<_>>();
        assert_eq!(groups(None), ["input_layer", "functional"]);
        assert_eq!(groups(Some(0)), ["input_layer", "dense"]);
        assert_eq!(to_json(&outer).unwrap()["config"]["layers"][1]["class_name"], "Functional");
    }

    #[test]
    fn groups_are_counted_by_class() {
        let model = model();
        let network = model.network();
        let counted = counted_by_class(network, None);
        let counted = counted.iter().map(|(group, member)| (group.as_str(), network.member_name(None, *member)));
        let expected = [("flatten", "flatten"), ("dense", "dense"), ("dense_1", "dense_1"), ("dense_2", "head")];
        assert_eq!(counted.collect::<Vec<_>>(), [&expected[..], &[("dense_3", "dense_2")]].concat());
    }
}
