//! Error messages for users' mistakes.

use kiln::data::{Dataset, Labels};
use kiln::layers::{Dense, Flatten};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::Adam;
use kiln::{Compile, Device, Fit, Model, Sequential, models};

use crate::common::{bars, compiled, device, logits, model};

fn fit_error(data: &Dataset, fit: Fit<'_>) -> String {
    compiled().fit(data, fit).unwrap_err().to_string()
}

#[test]
fn arguments_of_fit_that_make_no_sense() {
    let data = bars(9);
    assert_eq!(fit_error(&data, Fit { batch_size: 0, ..Fit::default() }), "batch_size: expected at least 1, found 0");
    for validation_split in [1.0, -0.1, f64::NAN] {
        let error = fit_error(&data, Fit { validation_split, ..Fit::default() });
        assert!(error.starts_with("validation_split: expected 0 or more and less than 1, found"), "{error}");
    }
}

#[test]
fn data_that_do_not_fit_the_model() {
    let empty = fit_error(&bars(0), Fit::default());
    assert_eq!(empty, "data: expected at least one sample, found an empty data set");
    let one = fit_error(&bars(1), Fit { validation_split: 0.5, ..Fit::default() });
    assert_eq!(one, "data: expected at least one sample, found an empty data set");

    let wide = Dataset::from_f32([6, 7, 1], vec![0.0; 42], Labels::index(vec![0], 3)).unwrap();
    let error = fit_error(&wide, Fit::default());
    assert_eq!(error, "model `bars` expects samples [6, 6, 1], the data set has samples [6, 7, 1]");

    let many = Dataset::from_f32([6, 6, 1], vec![0.0; 36], Labels::index(vec![3], 4)).unwrap();
    let error = fit_error(&many, Fit::default());
    assert_eq!(error, "model `bars` expects labels below 3, its number of outputs, the data set has 4 classes");

    let hot = Dataset::from_f32([6, 6, 1], vec![0.0; 36], Labels::one_hot(vec![1.0, 0.0], 2)).unwrap();
    assert_eq!(fit_error(&hot, Fit::default()), "model `bars` expects 3 values per label, the data set has 2");
}

#[test]
fn one_hot_labels_with_the_sparse_loss() {
    let hot = Dataset::from_f32([6, 6, 1], vec![0.0; 36], Labels::one_hot(vec![1.0, 0.0, 0.0], 3)).unwrap();
    let mut model = model();
    let loss = SparseCategoricalCrossentropy::default().into();
    model.compile(device(), Compile { loss, ..Compile::default() }).unwrap();
    let error = model.evaluate(&hot).unwrap_err().to_string();
    assert!(error.contains("class indices (loss sparse_categorical_crossentropy)"), "{error}");
}

#[test]
fn a_model_that_is_not_compiled() {
    let data = bars(9);
    let error = model().fit(&data, Fit::default()).unwrap_err().to_string();
    assert!(error.starts_with("model `bars`: fit needs a device; call `compile` first"), "{error}");

    let mut predicts = model();
    predicts.to_device(device()).unwrap();
    assert!(predicts.predict(&data).is_ok());
    assert!(predicts.evaluate(&data).unwrap_err().to_string().contains("call `compile` first"));

    let mut grown = compiled();
    grown.add(Dense::new(3));
    assert!(grown.predict(&data).unwrap_err().to_string().contains("again after layers were added"));
}

#[test]
fn a_model_without_softmax_at_its_end() {
    let mut model = logits();
    model.compile(device(), Compile::default()).unwrap();
    let error = model.fit(&bars(9), Fit::default()).unwrap_err().to_string();
    let expected =
        "categorical_crossentropy expects probabilities, the output of softmax or sigmoid, found `matmul` of dense";
    assert!(error.contains(expected) && error.contains("from_logits: true"), "{error}");
}

#[test]
fn layers_that_do_not_fit_and_a_model_without_layers() {
    let error = models::lenet([2, 2, 1], 10).compile(device(), Compile::default()).unwrap_err().to_string();
    let expected = "pool2 (MaxPooling2D): expected an image of at least 2 x 2, or padding 'same', found an input";
    assert!(error.starts_with(expected), "{error}");
    let error = Sequential::new([1]).compile(device(), Compile::default()).unwrap_err().to_string();
    assert_eq!(error, "model `sequential` has no layers; add them with `add`");
}

#[test]
fn arguments_of_compile_that_make_no_sense() {
    let compile = |compile| model().compile(device(), compile).unwrap_err().to_string();
    let steps = compile(Compile { steps_per_execution: Some(33), ..Compile::default() });
    assert_eq!(steps, "steps_per_execution: expected 1 to 32, found 33");
    for (accumulate, found) in [(0, "0"), (33, "33")] {
        let error = compile(Compile { accumulate, ..Compile::default() });
        assert_eq!(error, format!("accumulate: expected 1 to 32, found {found}"));
    }
    let two = compile(Compile { clipvalue: Some(1.0), global_clipnorm: Some(1.0), ..Compile::default() });
    assert_eq!(two, "global_clipnorm: expected at most one kind of clipping, found clipvalue and global_clipnorm");
    let none = compile(Compile { clipnorm: Some(0.0), ..Compile::default() });
    assert_eq!(none, "clipnorm: expected more than 0, found 0");
    let optimizer = Adam { learning_rate: f64::NAN.into(), ..Adam::default() }.into();
    let error = compile(Compile { optimizer, ..Compile::default() });
    assert!(error.starts_with("learning_rate: expected a number, 0 or more, found NaN"), "{error}");
}

#[test]
fn weights_of_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let mut other = Sequential::new([6, 6, 1]);
    other.add(Flatten).add(Dense::new(4));
    other.save_weights(&path).unwrap();
    let error = model().load_weights(&path).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "conv2d/kernel [3, 3, 1, 5] is missing",
            "conv2d/bias [5] is missing",
            "dense/kernel is [36, 4], the model has [20, 3]",
            "dense/bias is [4], the model has [3]",
        ]
    );
}

#[test]
fn files_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let error = Model::load(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read") && error.contains("model.json"), "{error}");
    let below_a_file = folder.path().join("file");
    std::fs::write(&below_a_file, "").unwrap();
    assert!(model().save(below_a_file.join("x")).unwrap_err().to_string().starts_with("cannot write"));
}

#[test]
fn a_device_that_is_not_there() {
    let error = Device::gpu("no such device").unwrap_err().to_string();
    assert!(error.contains("no device matches `no such device`; available devices:"), "{error}");
    assert!(Device::by_index(999).is_err());
}

#[test]
fn check_finds_what_fit_would_find_and_changes_nothing() {
    let mut model = compiled();
    let before = model.get_weights().unwrap();
    assert!(model.check(&bars(9), 4).is_ok());
    assert_eq!(model.get_weights().unwrap(), before);
    let wide = Dataset::from_f32([6, 7, 1], vec![0.0; 42], Labels::index(vec![0], 3)).unwrap();
    let many = Dataset::from_f32([6, 6, 1], vec![0.0; 36], Labels::index(vec![3], 4)).unwrap();
    for data in [wide, many, bars(0)] {
        let error = model.check(&data, 4).unwrap_err().to_string();
        assert_eq!(error, fit_error(&data, Fit::default()));
    }
    let mut linear = logits();
    linear.compile(device(), Compile::default()).unwrap();
    let [checked, fitted] = [linear.check(&bars(9), 4), linear.fit(&bars(9), Fit::default()).map(|_| ())];
    assert_eq!(checked.unwrap_err().to_string(), fitted.unwrap_err().to_string());
}
