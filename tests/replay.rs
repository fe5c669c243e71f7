//! Trainings that Keras ran, step by step: from the same weights, over the same batches.

use std::path::{Path, PathBuf};

use kiln::data::{Dataset, Labels, idx};
use kiln::optimizers::Adam;
use kiln::{Compile, Fit, Model, Weight};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::{close, device};

/// The repository's own fixtures.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Fixtures that are too large for the repository: in the folder `KILN_FIXTURES`, if that is set.
fn large_fixtures() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    std::env::var_os("KILN_FIXTURES").map_or_else(beside, PathBuf::from)
}

/// The first images of MNIST's training (`train`) or test (`t10k`) files.
fn first_of_mnist(part: &str) -> Dataset {
    let read = |what| idx::read(fixtures().join(format!("mnist-first-{part}-{what}.gz"))).unwrap();
    let (images, labels) = (read("images"), read("labels"));
    let labels = Labels::index(labels.values.into_iter().map(u32::from).collect(), 10);
    Dataset::from_u8([28, 28, 1], images.values, labels).unwrap()
}

fn tensor(path: &Path, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    kiln::bytemuck::pod_collect_to_vec(file.tensor(name).unwrap().data())
}

/// The largest difference, relative to the largest expected value.
fn error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    worst / largest
}

fn replay(folder: &Path) {
    let expected: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let number = |key: &str| expected["optimizer"][key].as_f64().unwrap();
    let optimizer = Adam {
        learning_rate: number("learning_rate").into(),
        amsgrad: false,
        beta_1: number("beta_1"),
        beta_2: number("beta_2"),
        epsilon: number("epsilon"),
    };
    let batch_size = expected["batch_size"].as_u64().unwrap() as usize;
    let losses: Vec<f64> = expected["losses"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect();

    let mut model = Model::from_json_file(folder.join("model.json")).unwrap();
    model.load_weights(folder.join("initial.safetensors")).unwrap();
    model.compile(device(), Compile { optimizer: optimizer.into(), ..Compile::default() }).unwrap();
    let train = first_of_mnist("train").head(batch_size * losses.len());
    let history = model.fit(&train, Fit { batch_size, shuffle: false, ..Fit::default() }).unwrap();

    let found = &history.epochs[0].batch_losses;
    assert_eq!(found.len(), losses.len());
    for (step, (&found, &expected)) in found.iter().zip(&losses).enumerate() {
        assert!(close(found, expected, 1e-3), "loss of step {step}: expected {expected}, found {found}");
    }
    for Weight { name, values, .. } in model.get_weights().unwrap() {
        let error = error(&values, &tensor(&folder.join("final.safetensors"), &name));
        assert!(error < 2e-3, "{name} differs by {error}");
    }
    let test = first_of_mnist("t10k").head(expected["test_samples"].as_u64().unwrap() as usize);
    let predictions = model.predict(&test).unwrap();
    let error = error(&predictions.values, &tensor(&folder.join("predictions.safetensors"), "probabilities"));
    assert!(error < 2e-3, "predictions differ by {error}");
    let accuracy = model.evaluate(&test).unwrap().accuracy();
    assert!(close(accuracy, expected["test_accuracy"].as_f64().unwrap(), 1e-9), "accuracy {accuracy}");
}

#[test]
fn twenty_steps_of_a_narrow_lenet_are_those_of_keras() {
    replay(&fixtures().join("lenet_narrow_adam"));
}

#[test]
fn twenty_steps_of_lenet_are_those_of_keras() {
    let folder = large_fixtures().join("lenet_adam");
    if folder.exists() {
        replay(&folder);
    } else {
        eprintln!("skipped: no {}", folder.display());
    }
}
