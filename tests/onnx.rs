//! ONNX files: graphs that PyTorch has exported (`peers/onnx_fixtures.py`), small ones of a few operators (`peers/onnx_graphs.py`),
//! and Kiln's own, which `peers/onnx_export.py` runs with onnxruntime.

use std::path::{Path, PathBuf};

use kiln::data::{Dataset, Labels};
use kiln::graph::{Result, Shape, Tensor};
use kiln::layers::{
    Activation, BatchNormalization, BuildError, Call, Concatenate, Conv1D, Conv2D, Dense, Dropout, Flatten, GetItem,
    GlobalAveragePooling2D, Layer, MaxPooling1D, MaxPooling2D, Padding, Permute, ReLU, SequencePadding, UpSampling2D,
};
use kiln::losses::MeanSquaredError;
use kiln::optimizers::SGD;
use kiln::serde_json::{Map, Value};
use kiln::{Compile, Fit, LoadModel, Model, Sequential, Weight};
use safetensors::SafeTensors;

use crate::common::{device, largest_difference};
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
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    largest_difference(found, expected) / f64::from(largest)
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

/// The predictions of a model, by output, for the values of its inputs.
fn predictions(model: &mut Model, inputs: Vec<Vec<f32>>) -> Vec<kiln::Predictions> {
    model.to_device(device()).unwrap();
    let shapes: Vec<Shape> = model.input_shapes().into_iter().map(|(_, shape)| shape.clone()).collect();
    assert_eq!(shapes.len(), inputs.len());
    let parts = shapes.into_iter().zip(inputs).map(|(shape, values)| Dataset::from_f32(shape, values, None).unwrap());
    let mut parts: Vec<Dataset> = parts.collect();
    let data = if parts.len() == 1 { parts.remove(0) } else { Dataset::zip(parts).unwrap() };
    model.predict_outputs(&data).unwrap()
}

/// Why Kiln refuses the small graphs that have no recorded outputs.
const REFUSED: [(&str, &str); 24] = [
    ("Split into other lengths", "split: expected 2 parts of 5, each of 1 or more, found others"),
    ("Split of the batch", "axis: expected an axis of a sample, found the batch"),
    ("Slice in steps", "steps: expected adjacent places, at least one, found others"),
    ("Slice, reversed", "steps: expected adjacent places, at least one, found others"),
    ("Slice of the batch", "axes: expected axes of a sample, found a part of the batch"),
    (
        "Gather of channels in another order",
        "indices: expected adjacent places along an axis of a sample, found others",
    ),
    ("an input as an output", "node `y2` (output): expected a value that depends on the model's input, found another"),
    ("Gemm with a bias of samples", "expected a bias of 3 values, found [3, 1]"),
    ("MatMul and an Add of more axes", "expected a number, or one for each of 3 channels, found a constant [1, 1, 3]"),
    ("Softmax of several axes, old", "axis: expected the last axis, found 1"),
    ("whole numbers", "expected a tensor of floats, or one that a Cast converts to them, found elements of type 7"),
    ("Clip with bounds of channels", "input 1: expected a number, found a tensor [2]"),
    ("Pad with several values", "input 2: expected a number, found a tensor [2]"),
    ("Dropout with several ratios", "input 1: expected a number, found a tensor [2]"),
    ("GroupNormalization with -1 groups", "num_groups: expected 1 or more, found -1"),
    ("GroupNormalization with 0 groups", "num_groups: expected 1 or more, found 0"),
    ("GroupNormalization with 3 groups", "groups: expected a divisor of the 4 channels, or -1, found 3"),
    ("BatchNormalization in training, old", "expected one output, as in predictions, found those of training"),
    ("Squeeze of a single sample", "axes: expected the axes to remove, as the batch has one sample, found none"),
    ("ConvTranspose with gaps", "auto_pad: expected windows as large as the strides, found SAME_UPPER"),
    ("Conv of no groups", "group: expected 1 or more, found -1"),
    ("an attribute of another type", "ceil_mode: expected an attribute of type 2, found type 1"),
    ("no elements but huge extents", "tensor `e`: expected extents of a tensor, found [0, 1099511627776, 1048576]"),
    ("a Slice of no elements", "tensor `e`: expected extents of a tensor, found [1099511627776, 0]"),
];

#[test]
fn small_graphs_predict_what_onnxruntime_predicts_or_are_refused_by_name() {
    let outputs = Outputs::of("graphs");
    let tensors = SafeTensors::deserialize(&outputs.0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let (mut problems, mut refused) = (Vec::new(), 0);
    let names = tensors.names().into_iter().filter_map(|name| name.strip_suffix("/model")).collect::<Vec<&str>>();
    for name in names {
        std::fs::write(&path, tensors.tensor(&format!("{name}/model")).unwrap().data()).unwrap();
        let all = |kind: char| {
            let names = (0..).map(move |i| format!("{name}/{kind}{i}"));
            names.take_while(|name| tensors.tensor(name).is_ok()).collect::<Vec<String>>()
        };
        let expected = all('y');
        let error = Model::load(&path).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
        if expected.is_empty() {
            let reason = REFUSED.iter().find(|(refused, _)| *refused == name).map_or("another error", |found| found.1);
            refused += 1;
            if !error.contains(reason) {
                problems.push(format!("{name}: expected {reason}, found {error:?}"));
            }
            continue;
        }
        if !error.is_empty() {
            problems.push(format!("{name}: {error}"));
            continue;
        }
        let inputs: Vec<Vec<f32>> = all('x').iter().map(|name| outputs.values(name)).collect();
        // As it is read, and once more after Kiln has written it.
        for again in [false, true] {
            let mut model = Model::load(&path).unwrap();
            if again {
                model.save(&path).unwrap();
                model = Model::load(&path).unwrap();
            }
            let found = predictions(&mut model, inputs.clone());
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(&expected) {
                let shape = tensors.tensor(expected).unwrap().shape().to_vec();
                let values = outputs.values(expected);
                if found.shape.to_vec() != shape {
                    problems.push(format!("{name}: found {}, expected {shape:?}", found.shape));
                } else if found.values != values && !matches!(difference(&found.values, &values), 0.0..=1e-5) {
                    problems.push(format!("{name} (again: {again}): {:?}, expected {values:?}", found.values));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(refused, REFUSED.len());
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
fn models_of_sequences_parts_and_several_inputs_and_outputs_stay_the_same_in_a_graph() {
    let padding = [SequencePadding::Valid, SequencePadding::Same, SequencePadding::Causal];
    let convolution = |padding| Conv1D::new(6, 3).padding(padding).groups(2).activation(Activation::Relu);
    let mut models: Vec<Model> = Vec::new();
    for (padding, strides, dilation) in padding.iter().flat_map(|&padding| [(padding, 2, 1), (padding, 1, 2)]) {
        let mut model = Sequential::new([9, 4]);
        model.add(convolution(padding).strides(strides).dilation_rate(dilation)).add(MaxPooling1D::new(2));
        model.add(Conv1D::new(3, 1).use_bias(false)).add(BatchNormalization::new());
        models.push(model);
    }
    for key in [
        vec![(1..3).into()],
        vec![(..).into(), (-2..).into(), (1..4).into()],
        vec![0.into()],
        vec![(..).into(), (-1).into()],
        vec![(..).into(), (..).into(), 2.into()],
        vec![(1..).into(), 0.into(), (..-1).into()],
        vec![1.into(), 1.into(), 1.into()],
    ] {
        let mut model = Sequential::new([5, 4, 2]);
        model.add(Conv2D::new(5, [2, 2])).add(GetItem::new(key));
        models.push(model);
    }
    // A model's own order of axes stays.
    for dims in [[3, 1, 2], [2, 3, 1], [1, 3, 2]] {
        let mut model = Sequential::new([3, 4, 2]);
        model.add(Conv2D::new(5, [2, 2])).add(Permute::new(dims));
        models.push(model);
    }
    let mut model = Sequential::new([6, 4]);
    model.add(Conv1D::new(5, 2)).add(Permute::new([2, 1]));
    models.push(model);
    let mut model = Model::new([4, 4, 2]);
    let numbers = model.add_input("numbers", [3]);
    let image = model.apply(Conv2D::new(4, [3, 3]), model.input());
    let mean = model.apply(GlobalAveragePooling2D::new(), image);
    let both = model.apply(Concatenate::new(), [mean, numbers]);
    let dense = model.apply(Dense::new(2), both);
    model.set_output([dense, image]).unwrap();
    models.push(model);
    for (index, mut model) in models.into_iter().enumerate() {
        let shapes: Vec<usize> = model.input_shapes().iter().map(|(_, shape)| shape.elements()).collect();
        let values = |elements: &usize| (0..2 * elements).map(|i| ((i * 7 + index) as f32).sin()).collect();
        let inputs: Vec<Vec<f32>> = shapes.iter().map(values).collect();
        let mut read = again(&model);
        let [expected, found] = [&mut model, &mut read].map(|model| predictions(model, inputs.clone()));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.shape, expected.shape, "model {index}");
            assert_near(&format!("model {index}"), &found.values, &expected.values);
        }
    }
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
