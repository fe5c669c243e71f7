//! Trainings resumed from a checkpoint.

use std::sync::Arc;

use kiln::layers::{Activation, Dropout};
use kiln::optimizers::schedules::InverseTimeDecay;
use kiln::optimizers::{Adagrad, Adam, Optimizer, RMSprop, SGD};
use kiln::{Compile, Fit, Model};

use crate::common::{bars, bits, device, logits, model};

/// A compiled network with dropout.
fn compiled(optimizer: impl Optimizer + 'static) -> Model {
    let mut model = logits();
    model.add(Dropout::new(0.25)).add(Activation::Softmax);
    model.compile(device(), Compile { optimizer: Arc::new(optimizer), ..Compile::default() }).unwrap();
    model
}

fn fit(model: &mut Model, initial_epoch: usize, epochs: usize) {
    let fit = Fit { initial_epoch, epochs, seed: 3, validation_split: 0.1, ..Fit::default() };
    model.fit(&bars(131), fit).unwrap();
}

/// The weights after four epochs, without interruption or with a checkpoint after two.
fn at_once_and_resumed<O: Optimizer + Clone + 'static>(optimizer: O) -> [Vec<u32>; 2] {
    let mut whole = compiled(optimizer.clone());
    fit(&mut whole, 0, 4);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let mut first = compiled(optimizer.clone());
    fit(&mut first, 0, 2);
    first.save_checkpoint(&checkpoint).unwrap();
    let mut second = compiled(optimizer);
    second.initialize(99).unwrap();
    let epochs = second.load_checkpoint(&checkpoint).unwrap();
    assert_eq!(epochs, 2);
    fit(&mut second, epochs, 4);
    [whole, second].map(|model| bits(&model.get_weights().unwrap()))
}

#[test]
fn a_resumed_training_ends_with_the_bits_of_one_that_was_not_interrupted() {
    let [whole, resumed] = at_once_and_resumed(Adam::default());
    assert_eq!(whole, resumed);
    let [whole, resumed] = at_once_and_resumed(RMSprop::default());
    assert_eq!(whole, resumed);
    let learning_rate = InverseTimeDecay::new(0.01, 1, 0.01).into();
    let [whole, resumed] = at_once_and_resumed(SGD { learning_rate, momentum: 0.9, ..SGD::default() });
    assert_eq!(whole, resumed);
    let [whole, resumed] = at_once_and_resumed(Adagrad::default());
    assert_eq!(whole, resumed);
}

#[test]
fn a_resumed_training_has_the_learning_rate_that_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let mut first = compiled(Adam::default());
    first.set_learning_rate(0.25).unwrap();
    first.save_checkpoint(&checkpoint).unwrap();
    let mut second = compiled(Adam::default());
    second.load_checkpoint(&checkpoint).unwrap();
    assert_eq!(second.learning_rate().unwrap(), 0.25);
}

#[test]
fn a_checkpoint_that_does_not_fit_says_why_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let mut trained = compiled(Adam::default());
    fit(&mut trained, 0, 1);
    trained.save_checkpoint(&checkpoint).unwrap();

    let mut other = compiled(SGD::default());
    let before = bits(&other.get_weights().unwrap());
    let error = other.load_checkpoint(&checkpoint).unwrap_err().to_string();
    assert!(
        error.contains("expected a checkpoint with the optimizer sgd, as the model is compiled with, found adam"),
        "{error}"
    );
    assert_eq!(bits(&other.get_weights().unwrap()), before);

    trained.save_weights(&checkpoint).unwrap();
    let error = trained.load_checkpoint(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("expected a checkpoint written by `save_checkpoint`, found no training state"), "{error}");

    let error = model().save_checkpoint(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("needs a device; call `compile` first"), "{error}");
}
