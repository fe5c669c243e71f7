//! Trainings with constraints, compared with Keras: `peers/constraints.py`.

use kiln::data::{Dataset, Labels};
use kiln::layers::{Constraint, Dense, Layer};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::{Adam, SGD};
use kiln::{Compile, Fit, LossScale, Model, Precision, Sequential};
use serde_json::Value;

use crate::common::{close, device, made_up};

const RECORDED: &str = include_str!("fixtures/constraints.json");
const SAMPLES: usize = 10;

fn data() -> Dataset {
    let labels = (0..SAMPLES).map(|sample| sample as u32 % 3).collect();
    Dataset::from_f32([4, 4, 2], made_up(SAMPLES * 32, 0), Labels::index(labels, 3)).unwrap()
}

/// The model that Keras wrote, with its initial weights.
fn model(json: &str, compile: Compile) -> Model {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json).unwrap();
    let mut model = Model::from_json_file(file.path()).unwrap();
    let mut weights = model.get_weights().unwrap();
    for (i, weight) in weights.iter_mut().enumerate() {
        weight.values = made_up(weight.values.len(), i + 1);
        if weight.name.contains("variance") {
            weight.values.iter_mut().for_each(|value| *value *= *value);
        }
    }
    model.set_weights(&weights).unwrap();
    let loss = SparseCategoricalCrossentropy::default().into();
    model.compile(device(), Compile { loss, ..compile }).unwrap();
    model
}

fn assert_is_keras(case: &str, compile: Compile) {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let recorded = &recorded[case];
    let numbers =
        |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect() };
    let mut model = model(recorded["model"].as_str().unwrap(), compile);
    let history = model.fit(&data(), Fit { batch_size: 4, epochs: 3, shuffle: false, ..Fit::default() }).unwrap();
    for (epoch, expected) in history.epochs.iter().zip(numbers(&recorded["losses"])) {
        assert!(close(epoch.loss, expected, 2e-5), "{case}: {} {expected}", epoch.loss);
    }
    for weight in model.get_weights().unwrap() {
        let expected = numbers(&recorded["weights"][&weight.name]);
        assert_eq!(weight.values.len(), expected.len(), "{case}: {}", weight.name);
        for (found, expected) in weight.values.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-5, "{case}: {}: {found} {expected}", weight.name);
        }
    }
}

#[test]
fn weights_with_constraints_are_those_of_keras() {
    let optimizer = Adam { learning_rate: 0.01.into(), ..Adam::default() }.into();
    assert_is_keras("adam", Compile { optimizer, ..Compile::default() });
}

#[test]
fn a_moving_average_is_that_of_the_weights_before_the_constraint() {
    let optimizer = SGD { learning_rate: 0.1.into(), momentum: 0.9, ..SGD::default() }.into();
    assert_is_keras("average", Compile { optimizer, use_ema: true, ema_momentum: 0.5, ..Compile::default() });
}

#[test]
fn a_skipped_step_does_not_apply_constraints() {
    let mut model = Sequential::new([2]);
    model.add(Dense::new(3).kernel_constraint(Constraint::min_max_norm(2.0, 2.0).axis([0, 1])));
    model.initialize(0).unwrap();
    let loss = SparseCategoricalCrossentropy { from_logits: true }.into();
    model.compile(device(), Compile { loss, precision: Precision::Mixed, ..Compile::default() }).unwrap();
    let samples = made_up(8, 0);
    let data = Dataset::from_f32([2], samples, Labels::index(vec![0, 1, 2, 0], 3)).unwrap();
    let kernel = |model: &Model| model.get_weights().unwrap()[0].values.clone();
    let before = kernel(&model);

    let scale = 2f32.powi(120); // every gradient overflows
    model.set_loss_scale(LossScale { scale, ..LossScale::default() }).unwrap();
    model.train_on_batch(&data).unwrap();
    assert_eq!(kernel(&model), before);

    model.set_loss_scale(LossScale::default()).unwrap();
    model.train_on_batch(&data).unwrap();
    let norm = kernel(&model).iter().map(|value| value * value).sum::<f32>().sqrt();
    assert!((norm - 2.0).abs() < 1e-5, "{norm}");
}

#[test]
fn a_constraint_that_a_variable_cannot_have_is_an_error() {
    let error = |constraint: Constraint| {
        let mut model = Sequential::new([3]);
        model.add(Dense::new(2).kernel_constraint(constraint).named("head"));
        model.initialize(0).unwrap_err().to_string()
    };
    let expected = "head (Dense): expected a constraint of adjacent axes of a tensor with 2 axes, found UnitNorm { axis: [2] } \
                    of a kernel [3, 2]";
    assert_eq!(error(Constraint::unit_norm().axis([2])), expected);
    let found = error(Constraint::min_max_norm(2.0, 1.0));
    assert!(found.starts_with("head (Dense): expected a constraint with finite norms, 0 <= min_value"), "{found}");
}
