//! ONNX files: graphs that PyTorch has exported (`peers/onnx_fixtures.py`), and Kiln's own, which `peers/onnx_export.py` runs
//! with onnxruntime.

use std::path::{Path, PathBuf};

use kiln::data::{Dataset, Labels};
use kiln::graph::{Result, Shape, Tensor};
use kiln::layers::{
    Activation, BuildError, Call, Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D, Padding, ReLU, UpSampling2D,
};
use kiln::losses::MeanSquaredError;
use kiln::optimizers::SGD;
use kiln::serde_json::{Map, Value};
use kiln::{Compile, Fit, LoadModel, Model, Sequential, Weight};
use safetensors::SafeTensors;

use crate::common::device;
use crate::recorded::Recorded;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx").join(name)
}

/// The recording for a graph.
struct Outputs(Vec<u8>);

impl Outputs {
    fn of(name: &str) -> Outputs {
        Outputs(std::fs::read(fixture(&format!("{name}.safetensors"))).unwrap())
    }

    fn values(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = tensors.tensor(name).unwrap_or_else(|_| panic!("{name}")).data().to_vec();
        bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
    }
}

/// The largest difference relative to the largest value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0f32, |largest, value| largest.max(value.abs()));
    let differences = &mut found.iter().zip(expected).map(|(found, expected)| found - expected);
    largest(differences) / largest(&mut expected.iter().copied())
}

fn assert_near(what: &str, found: &[f32], expected: &[f32]) {
    let difference = difference(found, expected);
    assert!(difference <= 1e-5, "{what}: off by {difference:.1e}: {found:?}, expected {expected:?}");
}

fn assert_predicts(what: &str, model: &mut Model, outputs: &Outputs) {
    model.to_device(device()).unwrap();
    assert_near(what, &model.predict_values(outputs.values("x")).unwrap().values, &outputs.values("y"));
}

/// The model after writing and reading it.
fn again(model: &Model) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    model.save(&path).unwrap();
    Model::load(&path).unwrap()
}

#[test]
fn graphs_of_pytorch_predict_what_onnxruntime_predicts_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["trained", "moved"] {
        let outputs = Outputs::of(name);
        let mut model = Model::load(fixture(&format!("{name}.onnx"))).unwrap();
        assert_predicts(name, &mut model, &outputs);
        // A file is detected by its contents.
        for ending in ["", ".onnx"] {
            let path = folder.path().join(format!("{name}{ending}"));
            model.save(&path).unwrap();
            assert_predicts(&format!("{name}{ending}"), &mut Model::load(&path).unwrap(), &outputs);
        }
        let unnamed = folder.path().join(format!("{name}.model"));
        std::fs::copy(fixture(&format!("{name}.onnx")), &unnamed).unwrap();
        assert_predicts(name, &mut Model::load(&unnamed).unwrap(), &outputs);
    }
}

#[test]
fn a_graph_of_pytorch_has_the_names_of_its_modules_and_keras_layouts() {
    let model = Model::load(fixture("trained.onnx")).unwrap();
    let names: Vec<String> = model.get_weights().unwrap().into_iter().map(|weight| weight.name).collect();
    let expected = [
        "conv/kernel",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "depthwise/kernel",
        "depthwise/bias",
        "grouped/kernel",
        "grouped/bias",
        "fc/kernel",
        "fc/bias",
    ];
    assert_eq!(names, expected);
    let json = model.to_json().unwrap();
    assert!(json.contains("\"silu\"") && !json.contains("Permute"), "{json}");
}

/// Batch normalization trains its factors, and with the statistics of the batch.
#[test]
fn a_step_of_an_imported_model_is_that_of_pytorch() {
    let outputs = Outputs::of("trained");
    let mut model = Model::load(fixture("trained.onnx")).unwrap();
    let labels = Labels::values(outputs.values("labels"), 4);
    let data = Dataset::from_f32([7, 11, 3], outputs.values("x"), labels).unwrap();
    let optimizer = SGD { learning_rate: 0.1.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
    let history = model.fit(&data, Fit { epochs: 1, batch_size: 4, shuffle: false, ..Fit::default() }).unwrap();
    assert_near("loss", &[history.epochs[0].loss as f32], &outputs.values("losses"));
    for Weight { name, values, .. } in model.get_weights().unwrap() {
        if !name.contains("moving") {
            assert_near(&name, &values, &outputs.values(&format!("final/{name}")));
        }
    }
}

/// A recorded model of Keras with its weights.
fn of_keras(recorded: &Recorded, i: usize, case: &Value) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    std::fs::write(&path, case["model"].to_string()).unwrap();
    let mut model = Model::from_json_file(&path).unwrap();
    let weights = model.get_weights().unwrap().into_iter().enumerate().map(|(n, weight)| {
        let values = recorded.get(i, &format!("before.{n}")).unwrap().data;
        Weight { values: values.into_iter().map(|value| value as f32).collect(), ..weight }
    });
    let weights: Vec<Weight> = weights.collect();
    model.set_weights(&weights).unwrap();
    model
}

#[test]
fn graphs_of_all_layers_predict_what_keras_predicts() {
    let recorded = Recorded::open("layers");
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for (i, case) in recorded.cases().iter().enumerate() {
        let name = case["name"].as_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        let saved = of_keras(&recorded, i, case).save(&path);
        if name.contains(" along ") {
            let error = saved.unwrap_err().to_string();
            assert!(error.contains("axis: expected the last one"), "{name}: {error}");
            continue;
        }
        saved.unwrap();
        let Ok(mut model) = Model::load(&path) else {
            refused.push(name.to_owned());
            continue;
        };
        model.to_device(device()).unwrap();
        let floats = |name: &str| recorded.get(i, name).unwrap().data.into_iter().map(|value| value as f32).collect();
        let (x, expected): (Vec<f32>, Vec<f32>) = (floats("x"), floats("output"));
        let error = difference(&model.predict_values(x).unwrap().values, &expected);
        if error > 1e-5 {
            wrong.push(format!("{name}: off by {error:.1e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Their constants have values along several axes, or Kiln lacks an operator as a layer.
    let expected = ["activation squareplus", "Normalization of two axes", "Normalization of all axes"];
    assert_eq!(refused, expected);
}

#[test]
fn activation_functions_have_their_formulas_in_a_graph() {
    let functions = [
        "log_softmax",
        "gelu",
        "silu",
        "mish",
        "hard_silu",
        "hard_sigmoid",
        "sparse_sigmoid",
        "sparse_plus",
        "hard_tanh",
        "hard_shrink",
        "soft_shrink",
        "log_sigmoid",
        "tanh_shrink",
        "selu",
        "celu",
        "softsign",
        "relu6",
    ];
    let x: Vec<f32> = (0..40).map(|i| (i as f32 - 19.5) / 5.0).collect();
    let mut functions: Vec<Activation> = functions.map(|name| name.parse().unwrap()).into();
    functions.extend([Activation::GeluTanh, ReLU::new().max_value(2.0).into()]);
    for function in functions {
        let mut model = Sequential::new([2, 2, 5]);
        model.add(Conv2D::new(5, [1, 1]).activation(function)).add(Flatten);
        let mut read = again(&model);
        let predicted = [&mut model, &mut read].map(|model| {
            model.to_device(device()).unwrap();
            model.predict_values(x.clone()).unwrap().values
        });
        assert_near(&format!("{function:?}"), &predicted[1], &predicted[0]);
    }
}

/// The number of nodes of an operator.
fn count(graph: &[u8], operator: &str) -> usize {
    // The field `op_type` of a node.
    let field = [&[4 << 3 | 2, operator.len() as u8], operator.as_bytes()].concat();
    graph.windows(field.len()).filter(|window| *window == field).count()
}

#[test]
fn images_are_transposed_once_at_the_input_and_before_their_order_matters() {
    let mut model = Sequential::new([9, 8, 3]);
    model
        .add(Conv2D::new(4, [3, 3]).padding(Padding::Same).activation(Activation::Relu))
        .add(MaxPooling2D::new([2, 2]))
        .add(UpSampling2D::new([2, 2]))
        .add(Conv2D::new(4, [3, 3]))
        .add(Dropout::new(0.5))
        .add(Flatten)
        .add(Dense::new(2));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    model.save(&path).unwrap();
    let graph = std::fs::read(&path).unwrap();
    assert_eq!(["Transpose", "Conv", "Flatten", "Dropout"].map(|operator| count(&graph, operator)), [2, 2, 1, 0]);
}

/// A layer of a user's.
#[derive(Debug)]
struct Own;

impl Layer for Own {
    fn class_name(&self) -> &'static str {
        "Own"
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        Ok(input.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        Ok(call.input())
    }

    fn config(&self) -> Map<String, Value> {
        Map::new()
    }
}

#[test]
fn layers_that_onnx_lacks_are_named_and_a_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, "before").unwrap();
    let mut custom = Sequential::new([3]);
    custom.add(Own.named("mine"));
    let error = custom.save(&path).unwrap_err().to_string();
    let expected = "mine (Own): expected a layer that ONNX has, found a custom layer of the package `Custom`";
    assert_eq!(error, expected);
    let mut random = Model::new([3]);
    random.add(Dropout::new(0.5).named("drop").training(true));
    let error = random.save(&path).unwrap_err().to_string();
    let expected = "drop (Dropout): training: expected a layer that is called as in a prediction, found true";
    assert_eq!(error, expected);
    assert_eq!(std::fs::read(&path).unwrap(), b"before");
}

#[test]
fn a_file_that_is_no_graph_or_has_open_extents_says_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let error = |bytes: &[u8], options: LoadModel| {
        std::fs::write(&path, bytes).unwrap();
        Model::load_with(&path, options).unwrap_err().to_string().replace(&format!("{}: ", path.display()), "")
    };
    assert!(error(b"text", LoadModel::default()).starts_with("expected an ONNX file, found damaged contents"));
    assert!(error(b"", LoadModel::default()).contains("opset_import"));
    let graph = std::fs::read(fixture("trained.onnx")).unwrap();
    let options = LoadModel { input_shape: Some([7, 12, 3].into()), ..LoadModel::default() };
    assert_eq!(error(&graph, options), "input `image`: expected 12 as axis 3, as input_shape has, found 11");
    // Another operator of the same length.
    let relu = [&[4 << 3 | 2, 4], &b"Relu"[..]].concat();
    let place = graph.windows(relu.len()).position(|window| window == relu).unwrap();
    let mut unknown = graph.clone();
    unknown[place + 2..place + 6].copy_from_slice(b"Sinh");
    let found = error(&unknown, LoadModel::default());
    assert_eq!(found, "node `/Relu` (Sinh): expected an operator that Kiln has as a layer, found another");
}

#[test]
fn damaged_graphs_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let mut state = 1u32;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut loaded = 0;
    for name in ["trained", "moved"] {
        let graph = std::fs::read(fixture(&format!("{name}.onnx"))).unwrap();
        for length in (0..graph.len()).step_by(97) {
            std::fs::write(&path, &graph[..length]).unwrap();
            assert!(Model::load(&path).is_err(), "{length} bytes of {name}");
        }
        for _ in 0..600 {
            let mut damaged = graph.clone();
            for _ in 0..1 + draw(3) {
                let place = draw(damaged.len());
                damaged[place] = [0, 1, 0x7f, 0xff, draw(256) as u8][draw(5)];
            }
            std::fs::write(&path, &damaged).unwrap();
            loaded += usize::from(Model::load(&path).is_ok());
        }
    }
    assert!(loaded > 0, "bytes of weights may change");
}
