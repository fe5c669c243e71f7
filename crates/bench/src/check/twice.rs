//! The same training twice.

use kiln::data::{Dataset, Labels};
use kiln::graph::Array;
use kiln::layers::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Padding, Regularizer,
};
use kiln::{Compile, Device, Fit, Model, Precision, Result, Sequential};

use super::{Check, Outcome};

const EPOCHS: usize = 2;

/// Two trainings with the same seed must be bit-identical.
pub fn check() -> Check {
    Check::new("the same training twice", |device| {
        let train = || train(device, Precision::Float32);
        let (first, second) = (train()?, train()?);
        let problems = different(&first, &second);
        Ok(Outcome { extent: format!("{EPOCHS} epochs"), error: None, problems })
    })
}

/// The results of a training: the bits of all weights, by name, and of the predictions.
pub type Bits = Vec<(String, Vec<u32>)>;

/// One line for each weight that differs.
pub fn different(first: &Bits, second: &Bits) -> Vec<String> {
    let differ =
        |(a, b): (&Vec<u32>, &Vec<u32>)| a.iter().zip(b).filter(|(a, b)| a != b).count() + a.len().abs_diff(b.len());
    let pairs = first.iter().zip(second).map(|((name, a), (_, b))| (name, differ((a, b)), a.len()));
    pairs
        .filter(|(_, count, _)| *count > 0)
        .map(|(name, count, all)| format!("{name}: {count} of {all} values differ"))
        .collect()
}

/// Trains a small network of many kinds of layers.
pub fn train(device: &Device, precision: Precision) -> Result<Bits> {
    let same = |filters| Conv2D::new(filters, [3, 3]).padding(Padding::Same);
    let mut model: Model = Sequential::new([16, 16, 4]);
    model
        .add(same(32).activation(Activation::Relu).kernel_regularizer(Regularizer::l2(0.01)))
        .add(BatchNormalization::new())
        .add(MaxPooling2D::new([2, 2]))
        .add(Dropout::new(0.25))
        .add(same(16))
        .add(Activation::Elu)
        .add(Flatten)
        .add(Dense::new(192).activation(Activation::Tanh))
        .add(Dense::new(5).activation(Activation::Softmax));
    let values = Array::random([70, 16, 16, 4], 1).data.into_iter().map(|value| value as f32).collect();
    let labels = Labels::index((0..70).map(|i| i % 5).collect(), 5);
    let data = Dataset::from_f32([16, 16, 4], values, labels)?;
    model.compile(device, Compile { precision, global_clipnorm: Some(0.5), ..Compile::default() })?;
    model.fit(&data, Fit { batch_size: 32, epochs: EPOCHS, ..Fit::default() })?;
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let mut found: Bits = model.get_weights()?.into_iter().map(|weight| (weight.name, bits(weight.values))).collect();
    found.push(("predictions".to_owned(), bits(model.predict(&data)?.values)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_counted() {
        let bits = |first| vec![("a".to_owned(), vec![first, 2, 3]), ("b".to_owned(), vec![4])];
        assert_eq!(different(&bits(1), &bits(1)), [""; 0]);
        assert_eq!(different(&bits(1), &bits(9)), ["a: 1 of 3 values differ"]);
        let short = vec![("a".to_owned(), vec![1]), ("b".to_owned(), vec![4])];
        assert_eq!(different(&bits(1), &short), ["a: 2 of 3 values differ"]);
    }
}
