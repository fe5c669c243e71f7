//! The classes of ImageNet.

use crate::{Error, Predictions, Result};

/// One line per class in order: `n02123045 tabby`.
const CLASSES: &str = include_str!("imagenet_classes.txt");

/// A predicted class of ImageNet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecodedPrediction {
    /// WordNet's identifier: `n02123045`.
    pub id: &'static str,
    /// The name: `tabby`.
    pub name: &'static str,
    /// The predicted probability.
    pub probability: f32,
}

/// The names of the 1,000 classes of ImageNet, in order.
pub fn imagenet_class_names() -> Vec<&'static str> {
    classes().map(|(_, name)| name).collect()
}

/// For each image, the `top` most probable classes of ImageNet, most probable first: Keras' `decode_predictions`.
///
/// # Errors
/// [`Error::Argument`] if these are not predictions of 1,000 classes.
pub fn decode_predictions(predictions: &Predictions, top: usize) -> Result<Vec<Vec<DecodedPrediction>>> {
    let classes: Vec<(&str, &str)> = classes().collect();
    if predictions.shape.sample().iter().ne([&classes.len()]) {
        let expected = format!("predictions [samples, {}]", classes.len());
        return Err(Error::Argument { name: "predictions", expected, found: predictions.shape.to_string() });
    }
    let decode = |row: &[f32]| {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        let decoded = |class: usize| {
            let (id, name) = classes[class];
            DecodedPrediction { id, name, probability: row[class] }
        };
        order.into_iter().take(top).map(decoded).collect()
    };
    Ok(predictions.rows().map(decode).collect())
}

fn classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLASSES.lines().filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_most_probable_classes_come_first_by_name() {
        let mut values = vec![0.0; 2000];
        (values[281], values[282], values[1000]) = (0.7, 0.2, 1.0);
        let predictions = Predictions { shape: [2, 1000].into(), values };
        let decoded = decode_predictions(&predictions, 2).unwrap();
        let tabby = DecodedPrediction { id: "n02123045", name: "tabby", probability: 0.7 };
        assert_eq!(decoded[0][0], tabby);
        assert_eq!((decoded[0][1].name, decoded[1][0].name), ("tiger_cat", "tench"));
        assert_eq!((decoded.len(), decoded[0].len(), imagenet_class_names().len()), (2, 2, 1000));
    }

    #[test]
    fn predictions_of_other_classes_are_an_error() {
        let predictions = Predictions { shape: [1, 10].into(), values: vec![0.1; 10] };
        let error = decode_predictions(&predictions, 5).unwrap_err().to_string();
        assert!(error.contains("expected predictions [samples, 1000]") && error.contains("[1, 10]"), "{error}");
    }
}
