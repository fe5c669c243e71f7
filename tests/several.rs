//! Models with several inputs and outputs, against recordings of Keras (`peers/several.py`): predictions, training, files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln::augmentation::Augmentation;
use kiln::data::{Dataset, Labels, Source, idx};
use kiln::layers::{Activation, Concatenate, Conv2D, Dense, GlobalAveragePooling2D, Layer, Maximum, Regularizer};
use kiln::losses::{self, BinaryCrossentropy, Loss, MeanSquaredError, SparseCategoricalCrossentropy};
use kiln::metrics::{self, Accuracy, MeanAbsoluteError, OutputMetric};
use kiln::optimizers::{Adam, Optimizer, SGD};
use kiln::{Compile, FeatureCache, Fit, History, Model, PerOutput, Precision, Score, Weight};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::device;

const NAMES: [&str; 3] = ["two", "nested", "items"];
const SAMPLES: usize = 8;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/several").join(name)
}

/// Unpacks a file to a folder.
fn unpacked(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    std::io::copy(&mut idx::open(fixture(&format!("{name}.gz"))).unwrap(), &mut bytes).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Keras' recording.
struct Recorded(Vec<u8>);

impl Recorded {
    fn open() -> Recorded {
        Recorded(std::fs::read(fixture("recorded.safetensors")).unwrap())
    }

    fn cases(&self) -> Vec<Value> {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).unwrap();
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()["cases"]).unwrap()
    }

    /// The bits of a tensor.
    fn words(&self, name: &str) -> Option<Vec<u32>> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = tensors.tensor(name).ok()?.data().to_vec();
        Some(bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect())
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.words(name).unwrap_or_else(|| panic!("{name}")).into_iter().map(f32::from_bits).collect()
    }

    /// The samples of a model, without targets.
    fn samples(&self, model: &Model, name: &str) -> Dataset {
        let shapes = model.input_shapes().into_iter().enumerate();
        let input = |(index, (_, shape)): (usize, (&str, &kiln::graph::Shape))| {
            Dataset::from_f32(shape.clone(), self.values(&format!("{name}.x{index}")), None).unwrap()
        };
        Dataset::zip(shapes.map(input)).unwrap()
    }

    /// The labels of an output: class indices for the first.
    fn target(&self, name: &str, output: usize) -> Labels {
        match output {
            0 => Labels::index(self.words(&format!("{name}.t0")).unwrap(), 3),
            _ => {
                let values = self.values(&format!("{name}.t{output}"));
                let size = values.len() / SAMPLES;
                Labels::values(values, size)
            }
        }
    }

    fn data(&self, model: &Model, name: &str) -> Dataset {
        let targets = (0..model.outputs().len()).map(|output| self.target(name, output)).collect();
        self.samples(model, name).with_targets(targets).unwrap()
    }
}

fn assert_near(what: &str, found: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
    let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= 1e-5 * scale);
    assert!(near && found.len() == expected.len(), "{what}: {found:?}, expected {expected:?}");
}

fn assert_predicts(what: &str, model: &mut Model, recorded: &Recorded, name: &str) {
    model.to_device(device()).unwrap();
    let outputs = model.predict_outputs(&recorded.samples(model, name)).unwrap();
    assert_eq!(outputs.len(), 3);
    for (index, output) in outputs.iter().enumerate() {
        assert_near(&format!("{what}, output {index}"), &output.values, &recorded.values(&format!("{name}.y{index}")));
    }
}

fn loaded(folder: &Path, name: &str) -> Model {
    Model::load(unpacked(folder, &format!("{name}.keras"))).unwrap()
}

/// The model `two` of the recording.
fn two() -> Model {
    let mut model = Model::new([5, 4, 2]).with_input_name("image").with_name("two");
    let numbers = model.add_input("numbers", [3]);
    let x = model.apply(Conv2D::new(3, [3, 3]).activation(Activation::Relu).named("conv"), model.input());
    let x = model.apply(GlobalAveragePooling2D::new().named("pool"), x);
    let x = model.apply(Concatenate::new().named("both"), [x, numbers]);
    let properties = model.apply(Dense::new(4).activation(Activation::Sigmoid).named("properties"), x);
    let position = Dense::new(2).kernel_regularizer(Regularizer::L2 { l2: 0.03 }).named("position");
    let position = model.apply(position, properties);
    let all = model.apply(Concatenate::new().named("all"), [x, position]);
    let classes = model.apply(Dense::new(3).activation(Activation::Softmax).named("classes"), all);
    model.set_output([classes, position, properties]).unwrap();
    model
}

/// The losses of `two`, by name.
fn by_name() -> PerOutput<Arc<dyn Loss>> {
    PerOutput::named([
        ("properties", BinaryCrossentropy::default().into()),
        ("classes", SparseCategoricalCrossentropy::default().into()),
        ("position", MeanSquaredError.into()),
    ])
}

/// A compiled model `two` with the recorded weights, and its data.
fn trainable(compile: Compile) -> (Model, Dataset) {
    let recorded = Recorded::open();
    let mut model = two();
    let named = |Weight { name, shape, .. }| {
        let values = recorded.values(&format!("two/{name}"));
        Weight { name, shape, values }
    };
    let weights: Vec<Weight> = model.get_weights().unwrap().into_iter().map(named).collect();
    model.set_weights(&weights).unwrap();
    model.compile(device(), compile).unwrap();
    let data = recorded.data(&model, "two");
    (model, data)
}

fn fit(model: &mut Model, data: &Dataset) -> History {
    model.fit(data, Fit { epochs: 2, batch_size: 4, shuffle: false, ..Fit::default() }).unwrap()
}

#[test]
fn files_of_keras_predict_what_keras_predicts() {
    let (folder, recorded) = (tempfile::tempdir().unwrap(), Recorded::open());
    for name in NAMES {
        // Keras does not read its own legacy files of operators.
        let endings = if name == "two" { &["keras", "h5"][..] } else { &["keras"] };
        for ending in endings {
            let file = unpacked(folder.path(), &format!("{name}.{ending}"));
            let mut model = Model::load(&file).unwrap();
            for Weight { name: weight, values, .. } in model.get_weights().unwrap() {
                assert_eq!(values, recorded.values(&format!("{name}/{weight}")), "{weight} of {name}.{ending}");
            }
            assert_predicts(&format!("{name}.{ending}"), &mut model, &recorded, name);
            for weights in ["keras", "h5", "weights.h5"] {
                model.initialize(9).unwrap();
                model.load_weights(unpacked(folder.path(), &format!("{name}.{weights}"))).unwrap();
                assert_predicts(&format!("{name}.{ending} with {weights}"), &mut model, &recorded, name);
            }
        }
    }
}

#[test]
fn written_files_are_read_with_all_names_and_bits() {
    let (folder, recorded) = (tempfile::tempdir().unwrap(), Recorded::open());
    for name in NAMES {
        let model = loaded(folder.path(), name);
        for ending in ["_written.keras", "_written"] {
            let place = folder.path().join(format!("{name}{ending}"));
            model.save(&place).unwrap();
            let mut again = Model::load(&place).unwrap();
            assert_eq!(again.get_weights().unwrap(), model.get_weights().unwrap(), "{name}{ending}");
            assert_eq!(again.to_json().unwrap(), model.to_json().unwrap(), "{name}{ending}");
            assert_eq!(again.output_shapes().unwrap(), model.output_shapes().unwrap());
            assert_predicts(ending, &mut again, &recorded, name);
        }
    }
}

#[test]
fn a_model_in_code_is_that_of_keras() {
    let (folder, mut of_code) = (tempfile::tempdir().unwrap(), two());
    let of_keras = loaded(folder.path(), "two");
    assert_eq!(of_code.to_json().unwrap(), of_keras.to_json().unwrap());
    let table = std::fs::read_to_string(fixture("two.txt")).unwrap();
    assert_eq!(of_code.summary().to_string(), table.trim_end());
    let nested = loaded(folder.path(), "nested").summary().to_string();
    assert!(nested.contains("│ [(None, 2),       │") && nested.contains("pair[0][1]"), "{nested}");
    let names = |model: &Model| model.output_shapes().unwrap().into_iter().map(|(name, _)| name.to_owned()).collect();
    let names: Vec<String> = names(&loaded(folder.path(), "nested"));
    assert_eq!(names, ["last", "pair", "r"]);
    let listed: Vec<String> = of_code.layers(..).unwrap().iter().map(|layer| layer.name.to_owned()).collect();
    assert_eq!(listed[..3], ["image", "conv", "pool"]);
    assert!(listed.contains(&"numbers".to_owned()));
}

/// An argument of Keras' compile: one for all outputs, a list or by name.
fn per_output<T>(json: &Value, read: impl Fn(&Value) -> T) -> PerOutput<T> {
    match json {
        Value::Array(list) => PerOutput::list(list.iter().map(read)),
        Value::Object(named) => {
            let some = named.iter().filter(|(_, value)| !value.is_null());
            PerOutput::named(some.map(|(name, value)| (name.as_str(), read(value))))
        }
        other => panic!("{other}"),
    }
}

fn compile_of(case: &Value) -> Compile {
    let optimizer: Arc<dyn Optimizer> = match case["optimizer"].as_str().unwrap() {
        "sgd" => SGD { learning_rate: 0.1.into(), ..SGD::default() }.into(),
        _ => Adam { learning_rate: 0.05.into(), ..Adam::default() }.into(),
    };
    let metrics = case["metrics"].as_object().into_iter().flatten().flat_map(|(output, metrics)| {
        let metric = move |name: &Value| (output.as_str(), metrics::from_name(name.as_str().unwrap()).unwrap()).into();
        metrics.as_array().unwrap().iter().map(metric)
    });
    Compile {
        optimizer,
        loss: per_output(&case["loss"], |name| losses::from_name(name.as_str().unwrap()).unwrap()),
        loss_weights: match &case["loss_weights"] {
            Value::Null => 1.0.into(),
            weights => per_output(weights, |weight| weight.as_f64().unwrap()),
        },
        metrics: metrics.collect::<Vec<OutputMetric>>(),
        ..Compile::default()
    }
}

/// The recorded figures of an epoch by name.
fn figures(recorded: &Value, epoch: Option<usize>) -> Vec<(String, f64)> {
    let value = |value: &Value| epoch.map_or(value, |epoch| &value[epoch]).as_f64().unwrap();
    let mut figures: Vec<(String, f64)> =
        recorded.as_object().unwrap().iter().map(|(name, json)| (name.clone(), value(json))).collect();
    figures.sort_by(|a, b| a.0.cmp(&b.0));
    figures
}

fn assert_figures(what: &str, mut found: Vec<(&str, f64)>, expected: &[(String, f64)]) {
    found.sort_by_key(|(name, _)| *name);
    let near = |((a, x), (b, y)): (&(&str, f64), &(String, f64))| *a == b && (x - y).abs() < 2e-6 * y.abs().max(1.0);
    let near = found.len() == expected.len() && found.iter().zip(expected).all(near);
    assert!(near, "{what}: {found:?}, expected {expected:?}");
}

#[test]
fn losses_metrics_and_weights_of_a_training_are_those_of_keras() {
    let (folder, recorded) = (tempfile::tempdir().unwrap(), Recorded::open());
    for (number, case) in recorded.cases().iter().enumerate() {
        let name = case["model"].as_str().unwrap();
        let mut model = loaded(folder.path(), name);
        let has_loss = |output: usize| {
            let name = model.output_shapes().unwrap()[output].0;
            case["loss"].is_array() || !case["loss"][name].is_null()
        };
        let targets = (0..3).filter(|&output| has_loss(output)).map(|output| match (output, &case["loss"][0]) {
            (0, loss) if loss == "mean_squared_error" => {
                let classes = recorded.words(&format!("{name}.t0")).unwrap();
                let one_hot = classes.iter().flat_map(|&class| (0..3).map(move |i| f32::from(u8::from(i == class))));
                Labels::one_hot(one_hot.collect(), 3)
            }
            _ => recorded.target(name, output),
        });
        let data = recorded.samples(&model, name).with_targets(targets.collect()).unwrap();
        let weights = |output: usize| Some(recorded.values(&format!("{name}.w{output}")));
        let data = match case["weights"].as_u64() {
            None => data,
            Some(1) => data.with_sample_weights(weights(0).unwrap()).unwrap(),
            Some(_) => data.with_target_weights((0..3).map(weights)).unwrap(),
        };
        model.compile(device(), compile_of(case)).unwrap();
        let history = fit(&mut model, &data);
        for (epoch, logs) in history.epochs.iter().enumerate() {
            let what = format!("case {number}, epoch {epoch}");
            assert_figures(&what, logs.figures(), &figures(&case["history"], Some(epoch)));
        }
        for Weight { name, values, .. } in model.get_weights().unwrap() {
            assert_near(&format!("case {number}: {name}"), &values, &recorded.values(&format!("{number}/{name}")));
        }
        let score = model.evaluate(&data).unwrap();
        assert_figures(&format!("case {number}, evaluate"), score.figures(), &figures(&case["evaluate"], None));
    }
}

#[test]
fn validation_callbacks_and_histories_have_the_figures_of_each_output() {
    let compile = Compile { loss: by_name(), metrics: vec![("classes", Accuracy).into()], ..Compile::default() };
    let (mut model, data) = trainable(compile);
    let mut stopping = kiln::callbacks::EarlyStopping { monitor: "val_position_loss".to_owned(), ..Default::default() };
    let fit = Fit { epochs: 2, batch_size: 2, validation_data: Some(&data), ..Fit::default() };
    let history = model.fit_with_callbacks(&data, fit, &mut [&mut stopping]).unwrap();
    let names: Vec<&str> = history.epochs[1].figures().into_iter().map(|(name, _)| name).collect();
    let own = ["classes_loss", "position_loss", "properties_loss", "classes_accuracy"];
    let validated = own.map(|name| format!("val_{name}"));
    assert!(own.iter().all(|name| names.contains(name)) && validated.iter().all(|name| names.contains(&&**name)));
    assert_eq!(names.len(), 2 + 2 * own.len(), "{names:?}");
    assert!(stopping.best_epoch().is_some());
}

/// Sample `i` of an input, read on demand.
#[derive(Debug)]
struct OnDemand {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Source for OnDemand {
    type Value = f32;

    fn len(&self) -> usize {
        SAMPLES
    }

    fn sample_shape(&self) -> kiln::graph::Shape {
        self.shape.clone().into()
    }

    fn read(&self, index: usize, place: &mut [f32]) -> Result<(), kiln::data::DataError> {
        place.copy_from_slice(&self.values[index * place.len()..][..place.len()]);
        Ok(())
    }
}

/// The weights and losses of a training.
fn outcome(model: &mut Model, data: &Dataset) -> (Vec<Weight>, Vec<f64>) {
    let fit = Fit { epochs: 2, batch_size: 2, seed: 3, ..Fit::default() };
    let history = model.fit(data, fit).unwrap();
    (model.get_weights().unwrap(), history.epochs.iter().map(|logs| logs.loss).collect())
}

#[test]
fn streamed_inputs_and_chunks_train_with_the_same_bits() {
    let recorded = Recorded::open();
    let compile = || Compile { loss: by_name(), ..Compile::default() };
    let (mut model, data) = trainable(compile());
    let expected = outcome(&mut model, &data);
    let image = OnDemand { shape: vec![5, 4, 2], values: recorded.values("two.x0") };
    let streamed =
        Dataset::zip([Dataset::streamed(image, None).unwrap(), data.input(1).unwrap().with_labels(None).unwrap()]);
    let streamed = streamed.unwrap().with_targets(data.targets().to_vec()).unwrap();
    for other in [data.clone().in_chunks(2), streamed.clone(), streamed.in_chunks(4)] {
        let (mut model, _) = trainable(compile());
        assert_eq!(outcome(&mut model, &other), expected);
        let outputs = model.predict_outputs(&other).unwrap();
        assert_eq!(outputs, model.predict_outputs(&data).unwrap());
    }
}

#[test]
fn shards_of_a_batch_have_its_gradients_and_the_same_bits_each_time() {
    let gradients = |accumulate: usize| {
        let (mut model, data) = trainable(Compile { loss: by_name(), accumulate, ..Compile::default() });
        model.gradients(&data).unwrap()
    };
    let (whole, shards) = (gradients(1), gradients(3));
    assert_eq!(shards, gradients(3));
    for (whole, shards) in whole.iter().zip(&shards) {
        assert_near(&whole.name, &shards.values, &whole.values);
    }
    let trained = || {
        let (mut model, data) = trainable(Compile { loss: by_name(), accumulate: 2, ..Compile::default() });
        outcome(&mut model, &data)
    };
    assert_eq!(trained(), trained());
}

#[test]
fn a_training_resumes_from_a_checkpoint_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let compile = || Compile { loss: by_name(), ..Compile::default() };
    let epochs = |model: &mut Model, data: &Dataset, initial_epoch, epochs| {
        model.fit(data, Fit { epochs, initial_epoch, batch_size: 2, ..Fit::default() }).unwrap();
    };
    let (mut model, data) = trainable(compile());
    epochs(&mut model, &data, 0, 1);
    model.save_checkpoint(&path).unwrap();
    epochs(&mut model, &data, 1, 3);
    let (mut resumed, _) = trainable(compile());
    let done = resumed.load_checkpoint(&path).unwrap();
    epochs(&mut resumed, &data, done, 3);
    assert_eq!(resumed.get_weights().unwrap(), model.get_weights().unwrap());
}

#[test]
fn mixed_precision_has_about_the_losses_of_f32() {
    let score = |precision| {
        let (mut model, data) = trainable(Compile { loss: by_name(), precision, ..Compile::default() });
        let history = fit(&mut model, &data);
        history.epochs[1].loss
    };
    let (mixed, full) = (score(Precision::Mixed), score(Precision::Float32));
    assert!((mixed - full).abs() < 5e-3 * full && mixed != full, "{mixed}, {full}");
}

#[test]
fn frozen_layers_keep_their_weights_and_have_their_features_computed_once() {
    let body = || {
        let mut model = Model::new([5, 4, 2]);
        let x = model.apply(Conv2D::new(3, [3, 3]).named("conv"), model.input());
        let x = model.apply(GlobalAveragePooling2D::new().named("pool"), x);
        let classes = model.apply(Dense::new(3).activation(Activation::Softmax).named("classes"), x);
        let position = model.apply(Dense::new(2).named("position"), x);
        model.set_output([classes, position]).unwrap();
        model.set_trainable("conv", false).unwrap();
        let losses = [SparseCategoricalCrossentropy::default().into(), MeanSquaredError.into()];
        model.compile(device(), Compile { loss: PerOutput::list(losses), ..Compile::default() }).unwrap();
        model
    };
    let recorded = Recorded::open();
    let (mut slow, mut fast) = (body(), body());
    let image = Dataset::from_f32([5, 4, 2], recorded.values("two.x0"), None).unwrap();
    let data = image.with_targets((0..2).map(|output| recorded.target("two", output)).collect()).unwrap();
    let fit = || Fit { epochs: 2, batch_size: 3, ..Fit::default() };
    let before = slow.get_weights().unwrap();
    let expected = slow.fit(&data, fit()).unwrap();
    let found = fast.fine_tune(&data, FeatureCache::Memory, fit()).unwrap();
    for (found, expected) in found.epochs.iter().zip(&expected.epochs) {
        let expected: Vec<(String, f64)> =
            expected.figures().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut expected = expected;
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_figures("fine_tune", found.figures(), &expected);
    }
    assert_eq!(slow.get_weights().unwrap()[0], before[0]);
    assert_ne!(slow.get_weights().unwrap()[2], before[2]);

    let (mut model, data) = trainable(Compile { loss: by_name(), ..Compile::default() });
    let error = model.fine_tune(&data, FeatureCache::Memory, fit()).unwrap_err().to_string();
    assert!(error.contains("frozen layers with a single output before all trainable ones"), "{error}");
}

#[test]
fn an_augmentation_changes_the_images_only_unless_another_input_is_named() {
    let compile = || Compile { loss: by_name(), ..Compile::default() };
    let first = |augmentation: &Augmentation| {
        let (mut model, data) = trainable(compile());
        let fit = Fit { batch_size: SAMPLES, augmentation: Some(augmentation), shuffle: false, ..Fit::default() };
        model.fit(&data, fit).map(|history| history.epochs[0].loss).map_err(|error| error.to_string())
    };
    let doubled = |input| Augmentation { rescale: Some(2.0), input, ..Augmentation::default() };
    // Scaling an input here is scaling it in the data set.
    let (mut model, data) = trainable(compile());
    for index in [0, 1] {
        let inputs = [0, 1].map(|input| data.input(input).unwrap().with_labels(None).unwrap());
        let scaled = inputs
            .into_iter()
            .enumerate()
            .map(|(at, input)| if at == index { input.rescaled(2.0, 0.0) } else { input });
        let scaled = Dataset::zip(scaled).unwrap().with_targets(data.targets().to_vec()).unwrap();
        let expected = model.evaluate(&scaled).unwrap().loss;
        let found = first(&doubled(Some(index))).unwrap();
        assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
    }
    assert_eq!(first(&doubled(None)), first(&doubled(Some(0))));
    let flipped = Augmentation { horizontal_flip: true, ..Augmentation::default() };
    assert_ne!(first(&flipped), first(&Augmentation::default()));
    let error = first(&Augmentation { input: Some(2), ..flipped.clone() }).unwrap_err();
    assert_eq!(error, "augmentation.input: expected the index of one of 2 inputs, found 2");
    let error = first(&Augmentation { input: Some(1), ..flipped.clone() }).unwrap_err();
    assert_eq!(error, "augmentation: expected images [height, width, channels], found samples [3]");
    let images = || data.input(0).unwrap().with_labels(None).unwrap();
    let error = flipped.standardize(&Dataset::zip([images(), images()]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("unless exactly one has images, found none, and 2 of 2 inputs with images"), "{error}");
}

#[test]
fn nested_models_and_shared_calls_take_and_return_several_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let mut pair = Model::new([3]).with_name("pair").with_input_name("a");
    let b = pair.add_input("b", [2]);
    let both = pair.apply(Concatenate::new().named("both"), [pair.input(), b]);
    let own = pair.apply(Dense::new(2).named("own"), both);
    pair.set_output([own, both]).unwrap();

    let mut model = Model::new([3]).with_name("outer");
    let y = model.add_input("y", [2]);
    let own = model.apply_model(&pair, [model.input(), y]).unwrap();
    let [first, both] = model.outputs()[..] else { panic!("two outputs") };
    assert_eq!(first, own);
    let one = model.apply(Maximum::default().named("one"), both);
    let small = model.apply(Dense::new(2).named("small"), one);
    let again = model.apply_again("pair", [model.input(), small]);
    model.set_output([again, own, model.input()]).unwrap();
    assert_eq!(model.summary().parameters(), 12 + 12);
    model.to_device(device()).unwrap();
    let x: Vec<f32> = (0..6).map(|i| i as f32 / 4.0 - 0.5).collect();
    let inputs = [Dataset::from_f32([3], x.clone(), None), Dataset::from_f32([2], vec![0.25, -1.0, 0.5, 2.0], None)];
    let data = Dataset::zip(inputs.map(Result::unwrap)).unwrap();
    let expected = model.predict_outputs(&data).unwrap();
    assert_eq!(expected[2].values, x, "an output may be an input");
    model.save(folder.path().join("m.keras")).unwrap();
    let mut saved = Model::load(folder.path().join("m.keras")).unwrap();
    saved.to_device(device()).unwrap();
    assert_eq!(saved.predict_outputs(&data).unwrap(), expected);

    // Parts have the inputs that they need, and whole models within.
    let mut part = model.sub_model([again, own]).unwrap();
    assert_eq!((part.inputs().len(), part.outputs().len()), (2, 2));
    part.to_device(device()).unwrap();
    assert_eq!(part.predict_outputs(&data).unwrap(), expected[..2]);
    assert_eq!(part.get_layer("pair").unwrap().class_name, "Functional");
    let mut of_one = model.sub_model(own).unwrap();
    of_one.to_device(device()).unwrap();
    assert_eq!(of_one.predict(&data).unwrap(), expected[1]);
    let of_x = model.sub_model(model.input()).unwrap();
    assert_eq!(of_x.input_shapes(), [("input_layer", &[3].into())]);

    let problem = |connect: &dyn Fn(&mut Model)| {
        let mut model = Model::new([3]);
        model.add_input("y", [2]);
        connect(&mut model);
        model.output_shape().unwrap_err().to_string()
    };
    let count = problem(&|model| _ = model.apply_model(&pair, model.input()).unwrap());
    assert!(count.contains("pair (Functional): expected 2 inputs, found one input"), "{count}");
    let same = problem(&|model| _ = model.apply_model(&pair, [model.input(), model.input()]).unwrap());
    assert!(same.contains("expected different nodes as inputs in the model's first call"), "{same}");
    let order = problem(&|model| _ = model.apply_model(&pair, [model.inputs()[1], model.input()]).unwrap());
    assert!(order.contains("expected an input [3], found an input [2]"), "{order}");
}

#[test]
fn arguments_and_data_that_do_not_fit_are_errors() {
    let compiled = |compile: Compile| {
        let error = two().compile(device(), compile).unwrap_err();
        error.to_string()
    };
    let all = "(classes, position, properties)";
    let mse = || Arc::<dyn Loss>::from(MeanSquaredError);
    let loss = PerOutput::list([mse(), mse()]);
    let error = compiled(Compile { loss, ..Compile::default() });
    assert_eq!(error, format!("loss: expected one for each output {all}, found 2"));
    let error = compiled(Compile { loss: PerOutput::named([("class", mse())]), ..Compile::default() });
    assert_eq!(error, format!("loss: expected the name of an output {all}, found `class`"));
    let error = compiled(Compile { loss: PerOutput::List(vec![]), ..Compile::default() });
    assert_eq!(error, format!("loss: expected one for each output {all}, found 0"));
    let none = PerOutput::Named(vec![]);
    let error = compiled(Compile { loss: none, ..Compile::default() });
    assert_eq!(error, format!("loss: expected a loss for at least one output {all}, found none"));
    let loss_weights = PerOutput::named([("place", 0.5)]);
    let error = compiled(Compile { loss: by_name(), loss_weights, ..Compile::default() });
    assert_eq!(error, format!("loss_weights: expected the name of an output {all}, found `place`"));
    let error = compiled(Compile { loss: by_name(), loss_weights: f64::NAN.into(), ..Compile::default() });
    assert_eq!(error, "loss_weights: expected finite numbers, found NaN");
    let metrics = vec![("place", MeanAbsoluteError).into()];
    let error = compiled(Compile { loss: by_name(), metrics, ..Compile::default() });
    assert_eq!(error, format!("metrics: expected the name of an output {all}, found `place`"));
    let loss = PerOutput::named([("position", mse())]);
    let metrics = vec![("classes", Accuracy).into()];
    let error = compiled(Compile { loss, metrics, ..Compile::default() });
    assert_eq!(error, "metrics: expected a metric of an output that has a loss, found accuracy of `classes`");
    let metrics = vec![("position", Accuracy).into()];
    let error = compiled(Compile { loss: by_name(), metrics, ..Compile::default() });
    let expected =
        "metrics: expected a metric that applies to the loss mean_squared_error, found accuracy of `position`";
    assert_eq!(error, expected);

    let (mut model, data) = trainable(Compile { loss: by_name(), ..Compile::default() });
    let scored = |model: &mut Model, data: &Dataset| model.evaluate(data).unwrap_err().to_string();
    let inputs = || [0, 1].map(|input| data.input(input).unwrap().with_labels(None).unwrap());
    let [image, numbers] = inputs();
    let single = image.clone().with_targets(data.targets().to_vec()).unwrap();
    let error = scored(&mut model, &single);
    let expected = "model `two` expects samples of 2 inputs (image [5, 4, 2], numbers [3]), joined by `Dataset::zip`, \
                    the data set has samples of 1 input ([5, 4, 2])";
    assert_eq!(error, expected);
    assert_eq!(model.predict_outputs(&single).unwrap_err().to_string(), expected);
    let turned = Dataset::zip([numbers.clone(), image.clone()]).unwrap().with_targets(data.targets().to_vec()).unwrap();
    let error = scored(&mut model, &turned);
    assert_eq!(error, "model `two` expects samples [5, 4, 2] for image, the data set has samples [3]");
    let fewer = data.clone().with_targets(data.targets()[..2].to_vec()).unwrap();
    let error = scored(&mut model, &fewer);
    let expected = "model `two` expects the targets of 3 outputs with a loss (classes, position, properties), \
                    the data set has those of 2";
    assert_eq!(error, expected);
    let mut targets = data.targets().to_vec();
    targets.swap(1, 2);
    let error = scored(&mut model, &data.clone().with_targets(targets).unwrap());
    assert_eq!(error, "model `two` expects 2 values per label for the output position, the data set has 4");
    let error = scored(&mut model, &data.clone().with_targets(Vec::new()).unwrap());
    assert_eq!(error, "model `two` expects a label for each sample, the data set has no labels");
    let error = model.predict(&data).unwrap_err().to_string();
    assert_eq!(error, "predict: expected a model with one output; use `predict_outputs`, found 3 outputs");

    let zipped = |parts: Vec<Dataset>| Dataset::zip(parts).unwrap_err().to_string();
    assert_eq!(zipped(vec![]), "expected the samples of at least one input, found none");
    let error = zipped(vec![image.clone(), numbers.head(5)]);
    assert_eq!(error, "input 1: expected 8 samples, as for the inputs before it, found 5");
    assert!(zipped(vec![image, data.input(1).unwrap()]).starts_with("input 1: expected samples without labels"));
    let weights = data.clone().with_target_weights([Some(vec![1.0; SAMPLES]), None]).unwrap_err().to_string();
    assert_eq!(weights, "expected one weight of each sample, or one for each of 3 targets, found 2");
    let class_weight = Some([(0, 2.0)].into());
    let error = model.fit(&data, Fit { class_weight, ..Fit::default() }).unwrap_err().to_string();
    assert!(error.starts_with("class_weight: expected a model with one output"), "{error}");

    let mut model = two();
    model.add(Dense::new(1).named("more"));
    let error = model.output_shape().unwrap_err().to_string();
    assert!(error.starts_with("more (Dense): expected a model with one output; use `apply`"), "{error}");
    let mut model = Model::new([3]);
    model.add_input("input_layer", [2]);
    model.apply(Dense::new(1), model.input());
    let error = model.output_shape().unwrap_err().to_string();
    assert_eq!(error, "name: expected a unique name of each input, found `input_layer`");
    assert!(model.set_output([]).unwrap_err().to_string().ends_with("found no node"));
}

#[test]
fn one_loss_and_metrics_without_a_name_are_for_all_outputs() {
    let metrics = vec![Accuracy.into(), MeanAbsoluteError.into()];
    let compile = Compile { loss: MeanSquaredError.into(), metrics, ..Compile::default() };
    let (mut model, data) = trainable(compile);
    let one_hot = Labels::one_hot((0..3 * SAMPLES).map(|i| f32::from(u8::from(i % 4 == 0))).collect(), 3);
    let targets = [&[one_hot][..], &data.targets()[1..]].concat();
    let Score { loss, metrics } = model.evaluate(&data.with_targets(targets).unwrap()).unwrap();
    let names: Vec<&str> = metrics.iter().map(|(name, _)| name).collect();
    let outputs = ["classes", "position", "properties"];
    let expected = outputs.map(|output| format!("{output}_loss")).into_iter();
    let expected = expected.chain(outputs.map(|output| format!("{output}_mean_absolute_error")));
    assert_eq!(names, expected.collect::<Vec<_>>());
    let sum: f64 = metrics.iter().take(3).map(|(_, value)| value).sum();
    assert!(loss > sum, "and the penalty of the regularizer");
}
