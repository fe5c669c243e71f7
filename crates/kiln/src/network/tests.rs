#![allow(clippy::unwrap_used, clippy::panic)]

use std::ops::Range;

use kiln_graph::Shape;

use super::*;
use crate::layers::{Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D, Named};

fn network<const N: usize>(layers: [Named; N]) -> Network {
    let mut network = Network::new(ModelClass::Sequential, Shape::from([8, 8, 1]));
    for layer in layers {
        network.push(layer);
    }
    network
}

#[test]
fn layers_are_named_as_keras_names_them() {
    let network = network([
        Conv2D::new(2, [3, 3]).into(),
        Conv2D::new(2, [3, 3]).into(),
        MaxPooling2D::new([2, 2]).into(),
        Flatten.into(),
        Dense::new(3).named("head"),
        Dense::new(3).into(),
    ]);
    let names: Vec<&str> = network.layers.iter().map(|placed| placed.name.as_str()).collect();
    assert_eq!(names, ["conv2d", "conv2d_1", "max_pooling2d", "flatten", "head", "dense"]);
    assert_eq!(snake_case("BatchNormalization"), "batch_normalization");
    assert_eq!(snake_case("GlobalAveragePooling2D"), "global_average_pooling2d");
    assert_eq!(snake_case("AveragePooling2D"), "average_pooling2d");
    assert_eq!([snake_case("ReLU"), snake_case("LeakyReLU"), snake_case("ELU")], ["re_lu", "leaky_re_lu", "elu"]);
}

#[test]
fn variables_are_named_after_their_layers_and_lie_one_after_the_other() {
    let network = network([Conv2D::new(2, [3, 3]).into(), Flatten.into(), Dense::new(3).into()]);
    let names: Vec<&str> = network.variables.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(names, ["conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias"]);
    let ranges: Vec<Range<usize>> = network.variables.iter().map(PlacedVariable::range).collect();
    assert_eq!(ranges, [0..18, 18..20, 20..236, 236..239]);
}

#[test]
fn the_first_layer_that_does_not_fit_is_named() {
    let network = network([MaxPooling2D::new([2, 2]).into(), Conv2D::new(2, [5, 5]).named("c"), Flatten.into()]);
    let error = network.check().unwrap_err().to_string();
    assert_eq!(error, "c (Conv2D): expected an image of at least 5 x 5, or padding 'same', found an input [4, 4, 1]");
}

#[test]
fn an_argument_outside_its_range_is_named_without_the_inputs_shape() {
    let error = network([Dropout::new(2.0).into()]).check().unwrap_err().to_string();
    assert_eq!(error, "dropout (Dropout): rate: expected 0 to 1, found 2");
}

#[test]
fn two_layers_of_one_name_are_an_error() {
    let network = network([Flatten.named("a"), Dense::new(1).named("a")]);
    let error = network.check().unwrap_err().to_string();
    assert_eq!(error, "a (Dense): expected a unique name without `/`, found `a`");
    assert!(
        Network::new(ModelClass::Sequential, Shape::from([1]))
            .check()
            .unwrap_err()
            .to_string()
            .contains("has no layer")
    );
}

#[test]
fn layers_and_nodes_inside_of_a_nested_model_cannot_be_called_again() {
    let mut base = Network::new(ModelClass::Sequential, Shape::from([3]));
    base.name = "base".to_owned();
    base.push(Dense::new(3).into());
    base.push(Dense::new(3).into());
    let error = |again: &str, inside: bool| {
        let mut network = Network::new(ModelClass::Functional, Shape::from([3]));
        let input = network.input();
        let own = network.push_on(Dense::new(3).named("own"), &[input]);
        network.push_model(&base, &[own], None);
        let node = if inside { network.output_of(1) } else { own };
        network.push_again(again, &[node], None);
        network.check().unwrap_err().to_string()
    };
    let layer = error("base/dense", false);
    assert!(layer.contains("expected a layer of this model, found one inside of a nested model"), "{layer}");
    for again in ["own", "base"] {
        let node = error(again, true);
        assert!(node.contains("found a node inside of a nested model"), "{node}");
    }
}

#[test]
fn a_network_of_a_hundred_thousand_layers_is_built_checked_and_ordered() {
    const LAYERS: usize = 100_000;
    let mut network = Network::new(ModelClass::Functional, Shape::from([2]));
    for _ in 0..LAYERS {
        network.push(Flatten.into());
    }
    network.check().unwrap();
    assert_eq!(network.layers[LAYERS - 1].name, format!("flatten_{}", LAYERS - 1));
    let ordered = network.ordered();
    assert_eq!((ordered.len(), ordered[LAYERS]), (LAYERS + 1, network.output()));
}

#[test]
fn a_name_that_was_given_is_passed_over() {
    let network = network([Flatten.named("flatten_1"), Flatten.into(), Flatten.into(), Flatten.into()]);
    let names: Vec<&str> = network.layers.iter().map(|placed| placed.name.as_str()).collect();
    assert_eq!(names, ["flatten_1", "flatten", "flatten_2", "flatten_3"]);
}

#[test]
fn tensors_that_no_kernel_can_index_are_an_error() {
    let wide = network([Flatten.into(), Dense::new(usize::MAX).into()]).check().unwrap_err().to_string();
    assert_eq!(
        wide,
        format!("dense (Dense): expected tensors of 1 to 4294967295 elements, found [64, {}]", usize::MAX)
    );
    let mut network = Network::new(ModelClass::Sequential, Shape::from([1 << 40, 1 << 40]));
    network.push(Flatten.into());
    assert!(network.check().unwrap_err().to_string().contains("found an input [1099511627776, 1099511627776]"));
    let mut network = Network::new(ModelClass::Sequential, Shape::from([0]));
    network.push(Flatten.into());
    assert!(network.check().unwrap_err().to_string().ends_with("found an input [0]"));
}
