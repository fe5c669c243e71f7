//! Model files written by Keras (`peers/model_files.py`). Every member has the same meaning as in Keras, or is refused
//! by name.

use std::path::{Path, PathBuf};

use kiln::data::{Dataset, Labels};
use kiln::layers::{BatchNormalization, Dense, Dropout, Layer, Rescaling};
use kiln::losses::{MeanSquaredError, SparseCategoricalCrossentropy};
use kiln::optimizers::SGD;
use kiln::{Compile, Fit, Model, Sequential, Weight};
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::common::{bits, close, device};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model_files").join(name)
}

/// A model's file as JSON.
fn json_of(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(&format!("{name}.json"))).unwrap()).unwrap()
}

fn try_read(json: &Value) -> Result<Model, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    std::fs::write(&path, json.to_string()).unwrap();
    let shown = format!("{}: ", path.display());
    Model::from_json_file(&path).map_err(|error| error.to_string().replace(&shown, ""))
}

fn read(json: &Value) -> Model {
    try_read(json).unwrap()
}

/// Keras' recording for a model file.
struct Recorded(Vec<u8>);

impl Recorded {
    fn of(name: &str) -> Recorded {
        Recorded(std::fs::read(fixture(&format!("{name}.safetensors"))).unwrap())
    }

    fn values(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = tensors.tensor(name).unwrap().data();
        bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    /// The model's weights with the values below a prefix.
    fn weights(&self, model: &Model, prefix: &str) -> Vec<Weight> {
        let weights = model.get_weights().unwrap().into_iter();
        weights.map(|weight| Weight { values: self.values(&format!("{prefix}{}", weight.name)), ..weight }).collect()
    }
}

fn assert_near(what: &str, found: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
    let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= 1e-5 * scale);
    assert!(near && found.len() == expected.len(), "{what}: {found:?}, expected {expected:?}");
}

/// A model on the device, with a file's weights.
fn ready(name: &str) -> (Model, Recorded) {
    let recorded = Recorded::of(name);
    let mut model = read(&json_of(name));
    model.set_weights(&recorded.weights(&model, "")).unwrap();
    model.to_device(device()).unwrap();
    (model, recorded)
}

/// The model after saving and loading it.
fn written_and_read(model: &Model) -> Model {
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    Model::load(folder.path()).unwrap()
}

#[test]
fn activations_with_options_seeds_and_sums_of_tensors_predict_what_keras_predicts() {
    for name in ["act_obj", "dropout_seed", "op_add", "called_with_training"] {
        let (mut model, recorded) = ready(name);
        let mut again = written_and_read(&model);
        again.to_device(device()).unwrap();
        for model in [&mut model, &mut again] {
            assert_near(name, &model.predict_values(recorded.values("x")).unwrap().values, &recorded.values("y"));
        }
    }
}

/// Batch normalization called with `training=False` learns gamma and beta without updating its statistics; dropout
/// drops nothing.
#[test]
fn layers_that_keras_2_calls_as_in_a_prediction_train_as_there() {
    let (model, recorded) = ready("called_with_training");
    let labels = recorded.values("labels").into_iter().map(|label| label as u32).collect();
    let data = Dataset::from_f32([4, 4, 3], recorded.values("x"), Labels::index(labels, 3)).unwrap();
    for mut model in [written_and_read(&model), model] {
        let optimizer = SGD { learning_rate: 0.1.into(), ..SGD::default() }.into();
        let loss = SparseCategoricalCrossentropy::default().into();
        model.compile(device(), Compile { optimizer, loss, ..Compile::default() }).unwrap();
        let history = model.fit(&data, Fit { epochs: 3, batch_size: 6, shuffle: false, ..Fit::default() }).unwrap();
        for (logs, &expected) in history.epochs.iter().zip(&recorded.values("losses")) {
            assert!(close(logs.loss, f64::from(expected), 1e-5), "{}, expected {expected}", logs.loss);
        }
        for (found, expected) in model.get_weights().unwrap().iter().zip(&recorded.weights(&model, "final/")) {
            assert_near(&found.name, &found.values, &expected.values);
        }
    }
}

#[test]
fn dropout_that_keras_2_calls_as_in_a_training_drops_anew_in_every_prediction() {
    let json = json_of("mc");
    let ones = |model: &mut Model| model.predict_values(vec![1.0; 4 * 500]).unwrap().values;
    let predictions = |mut model: Model| {
        model.to_device(device()).unwrap();
        [ones(&mut model), ones(&mut model)]
    };
    let [first, second] = predictions(read(&json));
    let kept = first.iter().filter(|&&value| value == 2.0).count();
    assert!(first.iter().all(|value| [0.0, 2.0].contains(value)) && (900..1100).contains(&kept), "{kept} of 2000 kept");
    assert_ne!(first, second);
    assert_ne!(first[..4 * 128], first[4 * 128..4 * 256], "batches of a prediction draw anew");
    assert_eq!(predictions(written_and_read(&read(&json))), [first, second], "reproducible, and kept in files");
    // Keras 3 overrides the `training` of the build call.
    let mut keras3 = json;
    keras3["keras_version"] = Value::Null;
    keras3["config"]["layers"][1]["inbound_nodes"] = json!([{
        "args": [{"class_name": "__keras_tensor__", "config": {"shape": [null, 4], "dtype": "float32", "keras_history": ["input_1", 0, 0]}}],
        "kwargs": {"training": true},
    }]);
    assert_eq!(predictions(read(&keras3)), [vec![1.0; 2000], vec![1.0; 2000]]);
}

#[test]
fn a_normalization_that_would_move_its_statistics_in_predictions_is_refused_unless_it_is_frozen() {
    let mut json = json_of("called_with_training");
    let position = json["config"]["layers"].as_array().unwrap().iter().position(|layer| layer["name"] == "norm");
    let norm = position.unwrap();
    json["config"]["layers"][norm]["inbound_nodes"][0][0][3]["training"] = json!(true);
    assert_eq!(
        try_read(&json).unwrap_err(),
        "norm (BatchNormalization): expected a frozen layer, or a call without `training=True`, found `training=True`, \
         with which predictions would use and update batch statistics"
    );
    json["config"]["layers"][norm]["config"]["trainable"] = json!(false);
    let recorded = Recorded::of("called_with_training");
    let mut model = read(&json);
    model.set_weights(&recorded.weights(&model, "")).unwrap();
    model.to_device(device()).unwrap();
    assert_near("frozen", &model.predict_values(recorded.values("x")).unwrap().values, &recorded.values("y"));
    model.set_trainable("norm", true).unwrap();
    assert!(model.compile(device(), Compile::default()).unwrap_err().to_string().contains("norm (BatchNormalization)"));

    let mut model = Sequential::new([4]);
    model.add(BatchNormalization::new().training(true));
    assert!(model.to_device(device()).unwrap_err().to_string().contains("`training=True`"));
}

#[test]
fn every_refusal_names_the_layer_its_class_and_the_member() {
    let registered = try_read(&json_of("registered")).unwrap_err();
    assert_eq!(
        registered,
        "layer c (Conv2D): registered_name: \"mine>Conv2D\" is not in the registry; add its layer with `Registry::with` and \
         load the model with `Model::load_with`"
    );
    let refused = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut json = json_of(name);
        change(&mut json);
        try_read(&json).unwrap_err()
    };
    let layer =
        |json: &mut Value, index: usize, member: &str, value: Value| json["config"]["layers"][index][member] = value;
    let argument = |json: &mut Value, member: &str, value: Value| json["config"]["layers"][1]["config"][member] = value;
    let custom = json!({"module": null, "class_name": "L2", "config": {"l2": 0.1}, "registered_name": "mine>L2"});
    let begins = [
        (
            refused("act_obj", &|json| argument(json, "kernel_regularizer", custom.clone())),
            "layer conv (Conv2D): kernel_regularizer: registered_name: expected null, for Keras' own L2, found \"mine>L2\"",
        ),
        (
            refused("act_obj", &|json| argument(json, "activation", json!({"class_name": "PReLU", "config": {}}))),
            "layer conv (Conv2D): activation: PReLU: expected a layer ReLU, LeakyReLU, ELU, Softmax or Activation",
        ),
        (
            refused("act_obj", &|json| argument(json, "lora_rank", json!(4))),
            "layer conv (Conv2D): lora_rank: Kiln does not know this argument, found 4",
        ),
        (
            refused("act_obj", &|json| layer(json, 1, "wrapped_by", json!("me"))),
            "layer conv (Conv2D): wrapped_by: Kiln does not know this argument, found \"me\"",
        ),
        (
            refused("act_obj", &|json| json["config"]["layers"][0]["config"]["dtype"] = json!("uint8")),
            "layer input_layer (InputLayer): dtype: expected \"float32\", found \"uint8\"",
        ),
        (
            refused("act_obj", &|json| json["config"]["layers"][0]["config"]["sparse"] = json!(true)),
            "layer input_layer (InputLayer): sparse: expected false, found true",
        ),
        (
            refused("act_obj", &|json| json["config"]["compiled_with"] = json!("xla")),
            "config.compiled_with: Kiln does not know this argument, found \"xla\"",
        ),
        (
            refused("dropout_seed", &|json| {
                json["config"]["layers"][2]["inbound_nodes"][0]["kwargs"]["noise"] = json!(1);
            }),
            "layer dropout (Dropout): inbound_nodes: noise: Kiln does not know this argument of a call, found 1",
        ),
        (
            refused("op_add", &|json| {
                json["config"]["layers"][3]["inbound_nodes"][0]["args"][1] = json!("1.5");
            }),
            "layer add (Add): inbound_nodes: expected the output of a layer, found \"1.5\"",
        ),
        (refused("op_add", &|json| layer(json, 3, "class_name", json!("Power"))), "layer add (Power): "),
        (
            refused("called_with_training", &|json| argument(json, "scale", json!([[0.5], [2.0]]))),
            "layer rescaling (Rescaling): scale: expected a number, or a list of one number for each channel, found [[0.5],[2.0]]",
        ),
        (
            refused("called_with_training", &|json| argument(json, "scale", json!([0.5, 2.0]))),
            "rescaling (Rescaling): expected an input of 2 channels, as many as scale has numbers, found an input [4, 4, 3]",
        ),
        (
            refused("mc", &|json| json["config"]["layers"][1]["config"]["rate"] = json!(1.5)),
            "dropout (Dropout): rate: expected 0 to 1, found 1.5",
        ),
        (
            refused("mc", &|json| json["config"]["layers"][1]["inbound_nodes"][0][0][3] = json!({"training": 1})),
            "layer dropout (Dropout): inbound_nodes: training: expected true or false, found 1",
        ),
        (
            refused("mc", &|json| layer(json, 1, "name", json!("other"))),
            "layer dropout (Dropout): name: expected \"dropout\", as in its config, found \"other\"",
        ),
    ];
    for (found, expected) in begins {
        assert!(found.starts_with(expected), "{found}\nexpected {expected}");
    }
}

/// Keras 3 trains nothing in a model that is not trainable; tf_keras ignores the flag.
#[test]
fn a_graph_that_is_not_trainable_trains_nothing_as_in_keras_3() {
    let mut json = json_of("op_add");
    assert_eq!(read(&json).summary().trainable_parameters(), 40);
    json["config"]["trainable"] = json!(false);
    assert_eq!(read(&json).summary().trainable_parameters(), 0);

    let mut keras2 = json_of("called_with_training");
    let all = read(&keras2).summary().trainable_parameters();
    keras2["config"]["trainable"] = json!(false);
    assert_eq!(read(&keras2).summary().trainable_parameters(), all);
    keras2["keras_version"] = Value::Null;
    let moved = try_read(&keras2).unwrap_err();
    assert!(moved.starts_with("layer norm (BatchNormalization): trainable: expected false"), "{moved}");
}

#[test]
fn a_dropout_of_all_passes_nothing_on_in_a_training_and_all_in_a_prediction() {
    let mut model = Sequential::new([3]);
    model.add(Dense::new(4).named("cut_off")).add(Dropout::new(1.0)).add(Dense::new(2).named("behind"));
    let optimizer = SGD { learning_rate: 0.5.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
    let before = model.get_weights().unwrap();
    let x: Vec<f32> = (0..12).map(|i| i as f32 / 4.0 - 1.0).collect();
    let data = Dataset::from_f32([3], x.clone(), Labels::values(vec![1.0; 8], 2)).unwrap();
    let history = model.fit(&data, Fit { batch_size: 4, ..Fit::default() }).unwrap();
    assert!(close(history.epochs[0].loss, 1.0, 1e-6), "zeros, so that all outputs are the biases");
    let after = model.get_weights().unwrap();
    assert_eq!(bits(&after[..3]), bits(&before[..3]), "nothing but the last bias has a gradient");
    assert_near("behind/bias", &after[3].values, &[0.5, 0.5]);
    let kernel = |weight: &Weight, columns: usize, row: usize, column: usize| weight.values[row * columns + column];
    let expected: Vec<f32> = x
        .chunks_exact(3)
        .flat_map(|x| {
            let hidden: Vec<f32> =
                (0..4).map(|j| (0..3).map(|i| x[i] * kernel(&after[0], 4, i, j)).sum::<f32>()).collect();
            [0, 1].map(|k| 0.5 + (0..4).map(|j| hidden[j] * kernel(&after[2], 2, j, k)).sum::<f32>())
        })
        .collect();
    assert_near("prediction", &model.predict_values(x).unwrap().values, &expected);
}

#[test]
fn dropouts_of_one_seed_drop_the_same_values() {
    let masks = |seed: Option<u64>| {
        let dropout = || seed.map_or(Dropout::new(0.5), |seed| Dropout::new(0.5).seed(seed)).training(true);
        let mut model = Model::new([500]);
        let input = model.input();
        let [a, b] = [model.apply(dropout(), input), model.apply(dropout(), input)];
        model.apply(kiln::layers::Concatenate::new(), [a, b]);
        model.to_device(device()).unwrap();
        let values = model.predict_values(vec![1.0; 500]).unwrap().values;
        (values[..500].to_vec(), values[500..].to_vec())
    };
    let (a, b) = masks(Some(7));
    assert_eq!(a, b);
    assert_ne!(masks(Some(8)).0, a);
    let (a, b) = masks(None);
    assert_ne!(a, b);
}

/// One number and a list of equal ones use different ops.
#[test]
fn gradients_pass_a_rescaling_of_each_channel() {
    let trained = |rescaling: Rescaling| {
        let mut model = Sequential::new([3]);
        model.add(Dense::new(2)).add(rescaling).add(Dense::new(1));
        let optimizer = SGD { learning_rate: 0.05.into(), ..SGD::default() }.into();
        model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
        let x = (0..12).map(|i| (i * 7 % 5) as f32 / 4.0 - 0.5).collect();
        let data = Dataset::from_f32([3], x, Labels::values(vec![0.5, -0.5, 1.0, 0.0], 1)).unwrap();
        model.fit(&data, Fit { epochs: 5, batch_size: 4, ..Fit::default() }).unwrap();
        model.get_weights().unwrap()
    };
    // Other numbers, the same 32-bit floats.
    let list = trained(Rescaling::new([1.5, 1.5 + 1e-12]).offset([0.25, 0.25]));
    for (found, expected) in list.iter().zip(&trained(Rescaling::new(1.5).offset(0.25))) {
        assert_near(&found.name, &found.values, &expected.values);
    }
}

#[cfg(feature = "hdf5")]
mod hdf5 {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use kiln::layers::Conv2D;
    use kiln::{LoadWeights, Result};

    use super::*;

    /// `2 x`, then `3 x + 1`, or the other way round, for 1: a chain of two convolutions with a file's weights.
    fn of_one(name: &str, options: LoadWeights) -> Result<f32> {
        let mut bytes = Vec::new();
        let packed = std::fs::File::open(fixture(&format!("{name}.gz"))).unwrap();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.h5");
        std::fs::write(&path, bytes).unwrap();
        let mut model = Sequential::new([2, 2, 1]);
        model.add(Conv2D::new(1, [1, 1])).add(Conv2D::new(1, [1, 1]));
        model.load_weights_with(&path, options)?;
        model.to_device(device())?;
        Ok(model.predict_values(vec![1.0; 4])?.values[0])
    }

    #[test]
    fn two_convolutions_of_one_shape_are_in_the_order_of_the_file_whatever_their_numbers() {
        for name in ["counted_down_keras2.h5", "counted_down_keras3.weights.h5"] {
            assert_eq!(of_one(name, LoadWeights::default()).unwrap(), 3.0 * 2.0 + 1.0, "{name}");
        }
    }

    #[test]
    fn kernels_that_theano_turns_around_are_refused() {
        let error = of_one("theano.h5", LoadWeights::default()).unwrap_err().to_string();
        assert!(error.contains("weights.h5: backend: expected tensorflow, found theano"), "{error}");
    }

    #[test]
    fn names_of_the_model_in_another_order_are_an_error_unless_names_are_asked_for() {
        for name in ["contradiction_keras2.h5", "contradiction_keras3.weights.h5"] {
            let error = of_one(name, LoadWeights::default()).unwrap_err().to_string();
            assert!(
                error.contains("the file lists conv2d_1, conv2d, the model has conv2d, conv2d_1, which is ambiguous"),
                "{error}"
            );
            let by_name = LoadWeights { by_name: true, ..LoadWeights::default() };
            assert_eq!(of_one(name, by_name).unwrap(), 2.0 * (3.0 + 1.0), "{name}");
        }
    }
}
