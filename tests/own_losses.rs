//! A custom loss and metric, built from Kiln's ops, against formulas in f64.

use std::sync::Arc;

use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, Tensor};
use kiln::layers::{Activation, Dense};
use kiln::losses::{CategoricalCrossentropy, Loss, LossCall, Outputs, Scored};
use kiln::metrics::{Accuracy, Metric, MetricCall};
use kiln::ops::{Multiply, PerSample, Rescale, ScaleAdd, SoftmaxCrossEntropy, Unary};
use kiln::optimizers::SGD;
use kiln::{Compile, Error, Fit, Model, Sequential, Weight};

use crate::common::{bits, close, device};

const CLASSES: usize = 3;
const FEATURES: usize = 2;
const SAMPLES: usize = 24;

/// `-α (1 - p)^γ log p` of the probability `p` of a sample's class (Lin et al. 2017), with α = 0.75 and γ = 2.5.
#[derive(Debug)]
struct FocalLoss {
    from_logits: bool,
}

const ALPHA: f32 = 0.75;
const GAMMA: f32 = 2.5;

impl Loss for FocalLoss {
    fn name(&self) -> &'static str {
        "focal_loss"
    }

    fn outputs(&self) -> Outputs {
        Outputs::Classes
    }

    fn from_logits(&self) -> bool {
        self.from_logits
    }

    fn call(&self, call: &mut LossCall<'_>) -> kiln::Result<Scored> {
        let logits = call.softmax_logits(self)?.unwrap_or(call.output());
        let labels = call.labels();
        let minus_log_p = call.add_all(SoftmaxCrossEntropy, &[logits, labels])?[0];
        let log_p = call.add(Rescale { scale: -1.0, offset: 0.0 }, &[minus_log_p])?;
        let p = call.add(Unary::Exp, &[log_p])?;
        let one_minus_p = call.add(Rescale { scale: -1.0, offset: 1.0 }, &[p])?;
        let one_minus_p = call.add(Unary::Clip { low: 0.0, high: 1.0 }, &[one_minus_p])?;
        let weight = call.add(Unary::Power { exponent: GAMMA }, &[one_minus_p])?;
        let product = call.add(Multiply, &[weight, log_p])?;
        let loss = call.add(Rescale { scale: -ALPHA, offset: 0.0 }, &[product])?;
        Ok(Scored { logits: Some(logits), ..loss.into() })
    }
}

/// The mean over a sample's outputs of `c²/2 + d (|e| - c)` with `e = y - t` and `c = min(|e|, d)` (Huber 1964), d = 0.5.
#[derive(Debug)]
struct Huber;

impl Loss for Huber {
    fn name(&self) -> &'static str {
        "huber"
    }

    fn outputs(&self) -> Outputs {
        Outputs::Quantities
    }

    fn call(&self, call: &mut LossCall<'_>) -> kiln::Result<Scored> {
        let (y, targets) = (call.output(), call.targets()?);
        let error = call.add(ScaleAdd { a: 1.0, b: -1.0 }, &[y, targets])?;
        let size = call.add(Unary::Abs, &[error])?;
        let clipped = call.add(Unary::Clip { low: 0.0, high: 0.5 }, &[size])?;
        let square = call.add(Unary::Square, &[clipped])?;
        let beyond = call.add(ScaleAdd { a: 0.5, b: -0.5 }, &[size, clipped])?;
        let loss = call.add(ScaleAdd { a: 0.5, b: 1.0 }, &[square, beyond])?;
        Ok(call.add(PerSample::Mean, &[loss])?.into())
    }
}

/// Not one value per sample.
#[derive(Debug)]
struct Shapeless;

impl Loss for Shapeless {
    fn name(&self) -> &'static str {
        "shapeless"
    }

    fn outputs(&self) -> Outputs {
        Outputs::Classes
    }

    fn call(&self, call: &mut LossCall<'_>) -> kiln::Result<Scored> {
        Ok(call.output().into())
    }
}

/// The mean of the squares of a sample's outputs.
#[derive(Debug)]
struct SquaredOutputs;

impl Metric for SquaredOutputs {
    fn name(&self) -> &'static str {
        "squared_outputs"
    }

    fn call(&self, call: &mut MetricCall<'_>) -> kiln::Result<Tensor> {
        let squares = call.add(Unary::Square, &[call.output()])?;
        Ok(call.add(PerSample::Mean, &[squares])?)
    }
}

fn x() -> Vec<f32> {
    Array::random([SAMPLES * FEATURES], 5).data.into_iter().map(|x| x as f32 * 2.0).collect()
}

/// A class that a dense layer can learn.
fn class(sample: usize) -> usize {
    match x()[sample * FEATURES..][..FEATURES] {
        [a, b] if a.max(b) < 0.0 => 0,
        [a, b] if a > b => 1,
        _ => 2,
    }
}

fn data() -> Dataset {
    let labels = (0..SAMPLES).map(|sample| class(sample) as u32).collect();
    Dataset::from_f32([FEATURES], x(), Labels::index(labels, CLASSES)).unwrap()
}

/// A dense layer with or without softmax.
fn compiled(softmax: bool) -> Model {
    let mut model = Sequential::new([FEATURES]);
    let activation = if softmax { Activation::Softmax } else { Activation::Linear };
    model.add(Dense::new(CLASSES).activation(activation));
    model.initialize(3).unwrap();
    let compile = Compile {
        optimizer: SGD { learning_rate: 1.0.into(), ..SGD::default() }.into(),
        loss: Arc::new(FocalLoss { from_logits: !softmax }).into(),
        metrics: vec![Accuracy.into(), Arc::new(SquaredOutputs).into()],
        ..Compile::default()
    };
    model.compile(device(), compile).unwrap();
    model
}

/// All values of the kernel, then of the bias.
fn values(weights: &[Weight]) -> Vec<f64> {
    weights.iter().flat_map(|weight| &weight.values).map(|&value| f64::from(value)).collect()
}

/// The mean loss, accuracy and mean squared probability.
fn expected(parameters: &[f64]) -> [f64; 3] {
    let (kernel, bias) = parameters.split_at(FEATURES * CLASSES);
    let x = x();
    let mut sums = [0.0; 3];
    for sample in 0..SAMPLES {
        let features = &x[sample * FEATURES..][..FEATURES];
        let logit =
            |c: usize| bias[c] + (0..FEATURES).map(|f| f64::from(features[f]) * kernel[f * CLASSES + c]).sum::<f64>();
        let powers: Vec<f64> = (0..CLASSES).map(|c| logit(c).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let p = powers[class(sample)] / sum;
        let is_best = powers.iter().all(|&power| power <= powers[class(sample)]);
        let squares = powers.iter().map(|power| (power / sum).powi(2)).sum::<f64>() / CLASSES as f64;
        for (sum, value) in sums.iter_mut().zip([
            -f64::from(ALPHA) * (1.0 - p).powf(f64::from(GAMMA)) * p.ln(),
            f64::from(u8::from(is_best)),
            squares,
        ]) {
            *sum += value / SAMPLES as f64;
        }
    }
    sums
}

#[test]
fn a_loss_and_a_metric_of_ones_own_have_the_values_of_their_formulas() {
    for softmax in [true, false] {
        let mut model = compiled(softmax);
        let [loss, accuracy, squares] = expected(&values(&model.get_weights().unwrap()));
        let score = model.evaluate(&data()).unwrap();
        assert!(close(score.loss, loss, 1e-5), "{} {loss}", score.loss);
        assert!(close(score.accuracy().unwrap(), accuracy, 1e-6), "{score} {accuracy}");
        if softmax {
            let found = score.get("squared_outputs").unwrap();
            assert!(close(found, squares, 1e-5), "{found} {squares}");
        }
    }
}

#[test]
fn a_step_goes_along_the_gradient_of_ones_own_loss() {
    for softmax in [true, false] {
        let mut model = compiled(softmax);
        let before = values(&model.get_weights().unwrap());
        let history = model.fit(&data(), Fit { batch_size: SAMPLES, shuffle: false, ..Fit::default() }).unwrap();
        let after = values(&model.get_weights().unwrap());
        assert!(close(history.epochs[0].loss, expected(&before)[0], 1e-5));
        for i in 0..before.len() {
            let shifted = |by: f64| {
                let mut parameters = before.clone();
                parameters[i] += by;
                expected(&parameters)[0]
            };
            let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
            assert!((before[i] - after[i] - slope).abs() < 2e-6, "{i}: {} {slope}", before[i] - after[i]);
        }
    }
}

#[test]
fn a_loss_per_output_is_averaged_over_a_samples_outputs() {
    let targets = [0.1, -0.2, 0.0, 3.0, -2.0, 0.5];
    let samples = Dataset::from_f32([1], vec![0.0; 3], Labels::values(targets.to_vec(), 2)).unwrap();
    let mut model = Sequential::new([1]);
    model.add(Dense::new(2)); // 0 for an input of 0
    let optimizer = SGD { learning_rate: 1.0.into(), ..SGD::default() }.into();
    model.compile(device(), Compile { optimizer, loss: Arc::new(Huber).into(), ..Compile::default() }).unwrap();
    let history = model.fit(&samples, Fit { batch_size: 3, shuffle: false, ..Fit::default() }).unwrap();
    let loss = |e: f64| if e.abs() <= 0.5 { e * e / 2.0 } else { 0.5 * (e.abs() - 0.25) };
    let expected = targets.iter().map(|&t| loss(f64::from(t))).sum::<f64>() / 6.0;
    assert!(close(history.epochs[0].loss, expected, 1e-6), "{} {expected}", history.epochs[0].loss);
    // A step of 1 along the mean over samples of the mean over outputs of the clipped errors.
    let bias = &model.get_weights().unwrap()[1].values;
    let slope = |output: usize| (0..3).map(|n| targets[n * 2 + output].clamp(-0.5, 0.5)).sum::<f32>() / 6.0;
    assert!(close(bias[0].into(), slope(0).into(), 1e-6) && close(bias[1].into(), slope(1).into(), 1e-6), "{bias:?}");
}

#[test]
fn a_training_with_ones_own_loss_is_recorded_and_resumed() {
    let fit = |initial_epoch, epochs| Fit {
        initial_epoch,
        epochs,
        batch_size: 8,
        validation_split: 0.25,
        seed: 4,
        ..Fit::default()
    };
    let mut whole = compiled(true);
    let history = whole.fit(&data(), fit(0, 4)).unwrap();
    let names: Vec<&str> = history.epochs[3].figures().into_iter().map(|(name, _)| name).collect();
    let expected = ["loss", "accuracy", "squared_outputs", "val_loss", "val_accuracy", "val_squared_outputs"];
    assert_eq!(names, expected);
    assert!(history.epochs[3].loss < history.epochs[0].loss);

    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let mut first = compiled(true);
    first.fit(&data(), fit(0, 2)).unwrap();
    first.save_checkpoint(&checkpoint).unwrap();
    let mut second = compiled(true);
    let epochs = second.load_checkpoint(&checkpoint).unwrap();
    second.fit(&data(), fit(epochs, 4)).unwrap();
    assert_eq!(bits(&second.get_weights().unwrap()), bits(&whole.get_weights().unwrap()));
}

#[test]
fn ones_own_loss_is_checked_as_kilns_own() {
    let mut model = compiled(true);
    let values = Dataset::from_f32([FEATURES], x(), Labels::values(vec![0.0; SAMPLES * 2], 2)).unwrap();
    let Err(Error::Misfit { expected, found, .. }) = model.evaluate(&values) else { panic!() };
    assert_eq!((&*expected, &*found), ("3 values per label", "2"));

    let mut linear = Sequential::new([FEATURES]);
    linear.add(Dense::new(CLASSES));
    let loss = Arc::new(FocalLoss { from_logits: false }).into();
    linear.compile(device(), Compile { loss, ..Compile::default() }).unwrap();
    let error = linear.evaluate(&data()).unwrap_err().to_string();
    assert!(error.contains("focal_loss expects probabilities") && error.contains("from_logits: true"), "{error}");

    linear.compile(device(), Compile { loss: Arc::new(Shapeless).into(), ..Compile::default() }).unwrap();
    let error = linear.evaluate(&data()).unwrap_err().to_string();
    assert!(error.starts_with("shapeless: expected one value per sample, "), "{error}");
}

#[test]
fn how_a_model_is_compiled_can_be_kept_and_used_again() {
    let compile = Compile { loss: CategoricalCrossentropy::default().into(), ..Compile::default() };
    let [first, second] = [compile.clone(), compile].map(|compile| {
        let mut model = compiled(true);
        model.compile(device(), compile).unwrap();
        model.fit(&data(), Fit { epochs: 2, ..Fit::default() }).unwrap();
        bits(&model.get_weights().unwrap())
    });
    assert_eq!(first, second);
}
