#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

/// Five samples of two values: sample `i` is `[2i, 2i + 1]`, with labels 0 1 2 0 1.
fn five() -> Dataset {
    Dataset::from_u8([2], (0..10).collect(), Labels::index(vec![0, 1, 2, 0, 1], 3)).unwrap()
}

#[test]
fn bytes_are_rescaled_to_one_and_floats_are_not() {
    let floats = Dataset::from_f32([1], vec![3.0], Labels::index(vec![0], 1)).unwrap();
    assert_eq!((five().scale(), five().offset()), (1.0 / 255.0, 0.0));
    assert_eq!((floats.scale(), floats.offset()), (1.0, 0.0));
    let tf = five().rescaled(1.0 / 127.5, -1.0);
    assert_eq!((tf.scale(), tf.offset()), (1.0 / 127.5, -1.0));
}

#[test]
fn split_gives_the_last_fraction_second() {
    let (train, validation) = five().split(0.4);
    assert_eq!(train.values().unwrap(), Values::U8((0..6).collect()));
    assert_eq!(validation.values().unwrap(), Values::U8((6..10).collect()));
    assert_eq!(validation.labels(), Some(&Labels::index(vec![0, 1], 3)));
}

#[test]
fn split_rounds_the_first_part_down() {
    let lengths = |fraction| {
        let (first, last) = five().split(fraction);
        (first.len(), last.len())
    };
    assert_eq!(lengths(0.5), (2, 3));
    assert_eq!(lengths(0.0), (5, 0));
    assert_eq!(lengths(1.0), (0, 5));
    assert_eq!(lengths(-1.0), (5, 0));
}

#[test]
fn a_fifth_of_sixty_thousand_is_twelve_thousand() {
    let data = Dataset::from_u8([1], vec![0; 60_000], Labels::index(vec![0; 60_000], 1)).unwrap();
    assert_eq!(data.split(0.2).0.len(), 48_000);
}

#[test]
fn a_range_is_cut_to_the_samples_that_there_are() {
    assert_eq!(five().range(3..99).values().unwrap(), Values::U8((6..10).collect()));
    assert_eq!(five().range(7..9).len(), 0);
    assert_eq!(five().head(1).values().unwrap(), Values::U8((0..2).collect()));
    assert_eq!(five().head(9).len(), 5);
}

#[test]
fn classes_may_have_names() {
    assert!(five().class_names().is_empty());
    let names = || ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(five().with_class_names(names()).unwrap().head(1).class_names(), names());
    let error = five().with_class_names(names()[..2].to_vec()).unwrap_err().to_string();
    assert_eq!(error, "expected 3 names of classes, found 2");
}

#[test]
fn weights_are_cut_with_their_samples() {
    let data = five().with_sample_weights(vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    assert_eq!(data.range(1..3).sample_weights().unwrap()[..], [2.0, 3.0]);
    let error = five().with_sample_weights(vec![1.0]).unwrap_err().to_string();
    assert_eq!(error, "expected a weight for each of 5 samples, found 1");
}

#[test]
fn a_class_weighs_its_samples_and_1_where_nothing_is_said() {
    let weighted = five().with_class_weight(&[(1, 0.5), (2, 4.0)].into()).unwrap();
    assert_eq!(weighted.sample_weights().unwrap()[..], [1.0, 0.5, 4.0, 1.0, 0.5]);
    assert!(weighted.with_class_weight(&[(1, 0.5)].into()).unwrap_err().to_string().contains("not both"));
}

#[test]
fn the_class_of_values_is_the_place_of_the_first_largest() {
    let labels = Labels::one_hot(vec![0.0, 1.0, 0.5, 0.5, 1.0, 0.0], 2);
    assert_eq!(labels.class_indices(), [1, 0, 0]);
    assert_eq!(Labels::values(vec![1.0, 0.0], 1).class_indices(), [1, 0]);
}

#[test]
fn one_hot_labels_are_cut_with_their_samples() {
    let labels = Labels::one_hot(vec![1.0, 0.0, 0.0, 1.0, 0.5, 0.5], 2);
    let data = Dataset::from_f32([1], vec![1.0, 2.0, 3.0], labels).unwrap();
    assert_eq!(data.range(1..3).labels(), Some(&Labels::one_hot(vec![0.0, 1.0, 0.5, 0.5], 2)));
}

#[test]
fn values_that_are_no_whole_number_of_samples_are_an_error() {
    let error = Dataset::from_u8([2, 2, 1], vec![0; 9], Labels::index(vec![0; 2], 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a whole number of samples of shape [2, 2, 1] (4 values each), found 9 values"
    );
    assert!(Dataset::from_u8([0], vec![], Labels::index(vec![], 1)).is_err());
}

#[test]
fn labels_that_do_not_fit_the_samples_are_an_error() {
    let few = Dataset::from_u8([1], vec![0; 3], Labels::index(vec![0; 2], 1)).unwrap_err();
    assert_eq!(few.to_string(), "expected 3 label values for 3 samples, found 2");
    let few = Dataset::from_u8([1], vec![0; 3], Labels::one_hot(vec![0.0; 5], 2)).unwrap_err();
    assert_eq!(few.to_string(), "expected 6 label values for 3 samples, found 5");
    let high = Dataset::from_u8([1], vec![0; 3], Labels::index(vec![0, 1, 10], 10)).unwrap_err();
    assert_eq!(high.to_string(), "sample 2: expected a label below 10, found 10");
}

#[test]
fn samples_are_taken_in_any_order_with_their_labels_and_weights() {
    let labels = Labels::index(vec![0, 1, 2], 3);
    let names = ["a", "b", "c"].map(str::to_owned).into();
    let data = Dataset::from_f32([2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], labels).unwrap();
    let data = data.with_sample_weights(vec![0.5, 1.0, 2.0]).unwrap().with_class_names(names).unwrap();
    let taken = data.take(&[2, 0, 2]).unwrap();
    assert_eq!(taken.values().unwrap(), Values::F32([4.0, 5.0, 0.0, 1.0, 4.0, 5.0].into()));
    assert_eq!((taken.len(), taken.labels()), (3, Some(&Labels::index(vec![2, 0, 2], 3))));
    assert_eq!(taken.sample_weights(), Some(&[2.0, 0.5, 2.0].into()));
    assert_eq!(data.take(&[3]).unwrap_err().to_string(), "sample index 3 is out of range (3 samples)");

    let others = taken.with_labels(Labels::index(vec![1, 0, 1], 2)).unwrap();
    assert_eq!((others.classes(), others.class_names().len()), (2, 0));
    assert!(data.with_labels(Labels::index(vec![0], 3)).is_err());
}

#[test]
fn a_class_weight_for_a_class_that_is_not_there_is_an_error() {
    let weighted = |labels: Labels, class: usize, weight: f32| {
        let data = Dataset::from_u8([1], vec![0; 3], labels).unwrap();
        let weights = |data: Dataset| data.sample_weights().unwrap().to_vec();
        data.with_class_weight(&[(class, weight)].into()).map(weights).map_err(|error| error.to_string())
    };
    let two_classes = || Labels::index(vec![0, 1, 1], 2);
    assert_eq!(weighted(two_classes(), 1, 100.0).unwrap(), [1.0, 100.0, 100.0]);
    let error = weighted(two_classes(), 7, 100.0).unwrap_err();
    assert_eq!(error, "class_weight: expected one of the classes 0 to 1, found class 7");
    assert!(weighted(Labels::one_hot(vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0], 2), 2, 2.0).is_err());
    // A single value per sample is its class.
    assert_eq!(weighted(Labels::values(vec![0.0, 1.0, 0.0], 1), 1, 2.0).unwrap(), [1.0, 2.0, 1.0]);
    assert!(weighted(Labels::values(vec![0.0, 1.0, 0.0], 1), 2, 2.0).is_err());
    for wrong in [f32::NAN, f32::INFINITY, -1.0] {
        assert!(weighted(two_classes(), 0, wrong).unwrap_err().contains("weights that are numbers, 0 or more"));
    }
}
