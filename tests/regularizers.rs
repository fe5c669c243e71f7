//! Trainings with regularizers, compared with Keras: `peers/regularizers.py`.

use kiln::data::{Dataset, Labels};
use kiln::layers::{Activation, Conv2D, Dense, Flatten, Layer, Regularizer};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::SGD;
use kiln::{Compile, Fit, Model, Sequential, Weight};
use serde_json::Value;

use crate::common::{close, device, made_up};

const RECORDED: &str = include_str!("fixtures/regularizers.json");
const SAMPLES: usize = 10;

fn data() -> Dataset {
    let labels = (0..SAMPLES).map(|sample| sample as u32 % 3).collect();
    Dataset::from_f32([4, 4, 1], made_up(SAMPLES * 16, 0), Labels::index(labels, 3)).unwrap()
}

fn model() -> Model {
    let hidden = Dense::new(5).activation(Activation::Tanh);
    let frozen = Dense::new(4).activation(Activation::Tanh).kernel_regularizer(Regularizer::l2(0.5));
    let last = Dense::new(3).activation(Activation::Softmax);
    let mut model = Sequential::new([4, 4, 1]);
    model
        .add(Conv2D::new(2, [3, 3]).activation(Activation::Relu).kernel_regularizer(Regularizer::l2(0.05)))
        .add(Flatten)
        .add(hidden.kernel_regularizer(Regularizer::l1(0.02)).bias_regularizer(Regularizer::l2(0.03)))
        .add(frozen.trainable(false))
        .add(last.kernel_regularizer(Regularizer::l1_l2(0.01, 0.02)));
    model.initialize(0).unwrap();
    let mut weights = model.get_weights().unwrap();
    for (i, weight) in weights.iter_mut().enumerate() {
        weight.values = made_up(weight.values.len(), i + 1);
    }
    model.set_weights(&weights).unwrap();
    let optimizer = SGD { learning_rate: 0.1.into(), ..SGD::default() }.into();
    let loss = SparseCategoricalCrossentropy::default().into();
    model.compile(device(), Compile { optimizer, loss, ..Compile::default() }).unwrap();
    model
}

fn assert_numbers(what: &str, found: &[f64], expected: &Value, tolerance: f64) {
    let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    let agrees = found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() <= tolerance);
    assert!(agrees, "{what}: expected {expected:?}, found {found:?}");
}

#[test]
fn losses_and_weights_with_regularizers_are_those_of_keras() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let mut model = model();
    let untrained = model.evaluate(&data()).unwrap().loss;
    assert!(close(untrained, recorded["untrained_loss"].as_f64().unwrap(), 1e-5), "{untrained}");

    let fit = Fit { batch_size: 4, epochs: 3, shuffle: false, ..Fit::default() };
    let history = model.fit(&data(), fit).unwrap();
    let batch_losses: Vec<f64> = history.epochs.iter().flat_map(|epoch| epoch.batch_losses.clone()).collect();
    assert_numbers("loss of each batch", &batch_losses, &recorded["batch_losses"], 2e-5);
    let losses: Vec<f64> = history.epochs.iter().map(|epoch| epoch.loss).collect();
    assert_numbers("loss of each epoch", &losses, &recorded["losses"], 2e-5);
    for Weight { name, values, .. } in model.get_weights().unwrap() {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        assert_numbers(&name, &values, &recorded["weights"][format!("sequential/{name}")], 1e-5);
    }
    let trained = model.evaluate(&data()).unwrap().loss;
    assert!(close(trained, recorded["trained_loss"].as_f64().unwrap(), 1e-5), "{trained}");
}

#[test]
fn a_regularizer_without_a_factor_that_it_can_have_is_an_error() {
    let mut model = Sequential::new([3]);
    model.add(Dense::new(2).kernel_regularizer(Regularizer::l2(-1.0)).named("head"));
    let error = model.initialize(0).unwrap_err().to_string();
    let expected = "expected a regularizer whose factors are finite and 0 or more, found L2 { l2: -1.0 } of a kernel";
    assert_eq!(error, format!("head (Dense): {expected}"));
}
