//! Layers with their own learning rates and weight decays, against optimizers in f64.

use std::sync::Arc;

use kiln::data::{Dataset, Labels};
use kiln::graph::Limits;
use kiln::layers::{Dense, Layer};
use kiln::losses::MeanSquaredError;
use kiln::optimizers::{Adam, Optimizer, SGD, WeightDecay};
use kiln::serde_json::{self, Value, json};
use kiln::{Compile, Device, Fit, Model, Sequential};

use crate::common::{bits, device};
use kiln_bench::Recorder;

const SAMPLES: usize = 6;
const X: [f64; 12] = [0.5, -1.0, 1.5, 0.25, -0.75, 2.0, 1.0, 1.0, -2.0, 0.5, 0.0, -1.5];
const T: [f64; 6] = [1.0, -0.5, 0.25, 2.0, -1.0, 0.5];
const LEARNING_RATE: f64 = 0.02;
const DECAY: f64 = 0.1;

/// A layer of 3 units without bias, and one of a single unit: kernels `[2, 3]` and `[3, 1]`, a bias `[1]`.
fn network() -> Model {
    let mut model = Sequential::new([2]);
    model.add(Dense::new(3).use_bias(false).named("first")).add(Dense::new(1).named("last"));
    model.initialize(5).unwrap();
    model
}

fn data() -> Dataset {
    let floats = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    Dataset::from_f32([2], floats(&X), Labels::values(floats(&T), 1)).unwrap()
}

/// The first layer with its own learning-rate factor and decay.
fn grouped(factor: f64, decay: Option<f64>) -> Model {
    let mut model = network();
    let mut first = model.layers("first").unwrap();
    first.set_learning_rate_factor(factor).unwrap();
    first.set_weight_decay(decay).unwrap();
    model
}

fn compile(model: &mut Model, device: &Device, optimizer: Arc<dyn Optimizer>) {
    let (loss, metrics) = (MeanSquaredError.into(), Vec::new());
    model.compile(device, Compile { optimizer, loss, metrics, ..Compile::default() }).unwrap();
}

fn fit(initial_epoch: usize, epochs: usize) -> Fit<'static> {
    Fit { initial_epoch, epochs, batch_size: SAMPLES, shuffle: false, ..Fit::default() }
}

fn optimizers() -> [Arc<dyn Optimizer>; 2] {
    let weight_decay = WeightDecay::from(DECAY).exclude_from_weight_decay(["bias"]);
    let learning_rate = LEARNING_RATE.into();
    [
        SGD { learning_rate, momentum: 0.9, weight_decay: weight_decay.clone(), ..SGD::default() }.into(),
        Adam { learning_rate: LEARNING_RATE.into(), weight_decay, ..Adam::default() }.into(),
    ]
}

fn values(model: &Model) -> Vec<f64> {
    model.get_weights().unwrap().iter().flat_map(|weight| &weight.values).map(|&value| f64::from(value)).collect()
}

/// The gradient of the mean squared error: of the first kernel, of the last one, of the bias.
fn gradient(p: &[f64]) -> Vec<f64> {
    let mut gradient = vec![0.0; 10];
    for (x, t) in X.chunks(2).zip(T) {
        let hidden: Vec<f64> = (0..3).map(|unit| x[0] * p[unit] + x[1] * p[3 + unit]).collect();
        let y = p[9] + (0..3).map(|unit| hidden[unit] * p[6 + unit]).sum::<f64>();
        let slope = 2.0 * (y - t) / SAMPLES as f64;
        for unit in 0..3 {
            gradient[unit] += x[0] * p[6 + unit] * slope;
            gradient[3 + unit] += x[1] * p[6 + unit] * slope;
            gradient[6 + unit] += hidden[unit] * slope;
        }
        gradient[9] += slope;
    }
    gradient
}

/// The parameters after some steps, each with its own learning rate and decay.
fn reference(mut p: Vec<f64>, steps: i32, adam: bool, factor: f64, decay: f64) -> Vec<f64> {
    let (mut m, mut v) = (vec![0.0; 10], vec![0.0; 10]);
    for step in 1..=steps {
        let g = gradient(&p);
        for i in 0..10 {
            let (rate, decay) = match i {
                0..6 => (LEARNING_RATE * factor, decay),
                6..9 => (LEARNING_RATE, DECAY),
                _ => (LEARNING_RATE, 0.0),
            };
            p[i] -= rate * decay * p[i];
            if adam {
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
                let size = rate * (1.0 - 0.999f64.powi(step)).sqrt() / (1.0 - 0.9f64.powi(step));
                p[i] -= size * m[i] / (v[i].sqrt() + 1e-7);
            } else {
                m[i] = 0.9 * m[i] - rate * g[i];
                p[i] += m[i];
            }
        }
    }
    p
}

#[test]
fn a_layers_own_learning_rate_and_decay_are_those_of_a_reference_in_f64() {
    for (factor, decay) in [(0.25, None), (1.0, Some(0.5)), (0.1, Some(0.0)), (3.0, Some(0.75))] {
        for (optimizer, adam) in optimizers().into_iter().zip([false, true]) {
            let mut model = grouped(factor, decay);
            let before = values(&model);
            compile(&mut model, device(), optimizer.clone());
            model.fit(&data(), fit(0, 20)).unwrap();
            let expected = reference(before.clone(), 20, adam, factor, decay.unwrap_or(DECAY));
            let plain = reference(before, 20, adam, 1.0, DECAY);
            let differ = expected.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 1e-2);
            assert!(differ, "the group must matter for this test: {factor} {decay:?}");
            for (found, expected) in values(&model).iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{optimizer:?} {factor} {decay:?}: {found} {expected}");
            }
        }
    }
}

#[test]
fn a_factor_of_0_keeps_the_bits_and_one_of_1_changes_no_kernel() {
    for optimizer in optimizers() {
        let mut model = grouped(0.0, None);
        let before = model.get_weights().unwrap();
        compile(&mut model, device(), optimizer);
        model.fit(&data(), fit(0, 3)).unwrap();
        let after = model.get_weights().unwrap();
        assert_eq!(bits(&before[..1]), bits(&after[..1]));
        assert_ne!(bits(&before[1..]), bits(&after[1..]));
    }
    let kernels = |mut model: Model| {
        let (recorder, device) = Recorder::device(Limits::WEBGPU);
        compile(&mut model, &device, Adam::default().into());
        model.fit(&data(), fit(0, 1)).unwrap();
        recorder.plans()[0].calls.iter().map(|call| call.kernel.name).collect::<Vec<_>>()
    };
    let plain = kernels(network());
    assert_eq!(kernels(grouped(1.0, None)), plain);
    assert_eq!(kernels(grouped(0.5, None)).len(), plain.len() + 3);
}

#[test]
fn a_training_with_groups_is_resumed_to_the_same_bits_and_with_others_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    for optimizer in optimizers() {
        let compiled = |factor| {
            let mut model = grouped(factor, Some(0.5));
            compile(&mut model, device(), optimizer.clone());
            model
        };
        let mut whole = compiled(0.25);
        whole.fit(&data(), fit(0, 4)).unwrap();
        let mut first = compiled(0.25);
        first.fit(&data(), fit(0, 2)).unwrap();
        first.save_checkpoint(&checkpoint).unwrap();
        let mut second = compiled(0.25);
        let epochs = second.load_checkpoint(&checkpoint).unwrap();
        second.fit(&data(), fit(epochs, 4)).unwrap();
        assert_eq!(bits(&whole.get_weights().unwrap()), bits(&second.get_weights().unwrap()));

        let error = compiled(0.5).load_checkpoint(&checkpoint).unwrap_err().to_string();
        assert!(error.contains("first/kernel: learning_rate_factor 0.5, weight_decay 0.5"), "{error}");
        assert!(error.contains("found first/kernel: learning_rate_factor 0.25, weight_decay 0.5"), "{error}");
    }
}

#[test]
fn factors_and_decays_that_make_no_sense_are_refused_when_they_are_set() {
    let mut model = network();
    let error = model.layers(..).unwrap().set_learning_rate_factor(-1.0).unwrap_err().to_string();
    assert_eq!(error, "learning_rate_factor: expected a number, 0 or more, found -1");
    let error = model.layers("last").unwrap().set_weight_decay(f64::NAN).unwrap_err().to_string();
    assert_eq!(error, "weight_decay: expected a number, 0 or more, found NaN");
    model.layers("last").unwrap().set_weight_decay(0.5).unwrap();
    let mut last = model.layers("last").unwrap();
    let of_bias = last.variables(|variable| variable.name == "bias");
    let found: Vec<_> =
        of_bias.iter().map(|found| (found.layer, found.learning_rate_factor, found.weight_decay)).collect();
    assert_eq!(found, [("last", 1.0, Some(0.5))]);
}

/// All variables decay, but for the bias, which learns at a factor of 0.5.
fn bias_without_decay() -> Model {
    let mut model = network();
    let mut layers = model.layers(..).unwrap();
    let mut biases = layers.variables(|variable| variable.name == "bias");
    biases.set_weight_decay(0.0).unwrap();
    biases.set_learning_rate_factor(0.5).unwrap();
    model
}

fn decaying_sgd() -> Arc<dyn Optimizer> {
    SGD { learning_rate: LEARNING_RATE.into(), weight_decay: DECAY.into(), ..SGD::default() }.into()
}

#[test]
fn a_variable_learns_and_decays_at_rates_of_its_own() {
    let mut model = bias_without_decay();
    let mut expected = values(&model);
    compile(&mut model, device(), decaying_sgd());
    model.fit(&data(), fit(0, 10)).unwrap();
    for _ in 0..10 {
        let g = gradient(&expected);
        for (i, (p, g)) in expected.iter_mut().zip(g).enumerate() {
            let (rate, decay) = if i < 9 { (LEARNING_RATE, DECAY) } else { (0.5 * LEARNING_RATE, 0.0) };
            *p -= rate * decay * *p;
            *p -= rate * g;
        }
    }
    for (found, expected) in values(&model).iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn a_loaded_model_keeps_the_rates_of_its_variables() {
    let folder = tempfile::tempdir().unwrap();
    let mut saved = bias_without_decay();
    compile(&mut saved, device(), decaying_sgd());
    saved.save(folder.path()).unwrap();
    let mut loaded = Model::load(folder.path()).unwrap();
    let mut layers = loaded.layers(..).unwrap();
    let found: Vec<_> =
        layers.variables(|_| true).iter().map(|found| (found.learning_rate_factor, found.weight_decay)).collect();
    assert_eq!(found, [(1.0, None), (1.0, None), (0.5, Some(0.0))]);
    compile(&mut loaded, device(), decaying_sgd());
    for model in [&mut saved, &mut loaded] {
        model.fit(&data(), fit(0, 3)).unwrap();
    }
    assert_eq!(bits(&saved.get_weights().unwrap()), bits(&loaded.get_weights().unwrap()));

    // A part of a model keeps them, too.
    let last = saved.get_layer("last").unwrap().output;
    let mut part = saved.sub_model(last).unwrap();
    let mut layers = part.layers("last").unwrap();
    assert_eq!(layers.variables(|variable| variable.name == "bias").iter().next().unwrap().weight_decay, Some(0.0));
}

#[test]
fn rates_in_a_file_that_make_no_sense_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    let error = |variable: &str, group: Value| {
        let mut json: Value = serde_json::from_str(&bias_without_decay().to_json().unwrap()).unwrap();
        let groups = &mut json["config"]["layers"][2]["kiln"]["parameter_groups"];
        assert_eq!(*groups, json!({"bias": {"learning_rate_factor": 0.5, "weight_decay": 0.0}}));
        *groups = json!({ variable: group });
        std::fs::write(&path, json.to_string()).unwrap();
        Model::from_json_file(&path).unwrap_err().to_string()
    };
    let unknown = error("gamma", json!({}));
    assert!(
        unknown.ends_with("(Dense): kiln: expected the variables of the layer (kernel, bias), found gamma"),
        "{unknown}"
    );
    let negative = error("bias", json!({"learning_rate_factor": -0.5}));
    assert!(
        negative.contains("kiln: bias: learning_rate_factor: expected a number, 0 or more, found -0.5"),
        "{negative}"
    );
    let unread = error("bias", json!({"momentum": 0.5}));
    assert!(unread.contains("kiln: unknown field `momentum`"), "{unread}");
}
