//! Optimizers and learning rates compared with Keras: `fixtures/optimizers.safetensors`, written by
//! `peers/optimizers.py`, and the cases of `fixtures/ops.safetensors`.

use std::sync::Arc;

use kiln::Compile;
use kiln::graph::{Array, DType, Op, Step, TensorType};
use kiln::ops::{ClipByNorm, ClipByValue, Ema, Gather, WeightDecay};
use kiln::optimizers::schedules::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay,
};
use kiln::optimizers::{Adadelta, Adagrad, Adam, AdamW, LearningRate, Nadam, Optimizer, RMSprop, SGD};
use serde_json::Value;

use crate::bench::{Bench, read};
use crate::recorded::Recorded;

/// The tolerance, relative to the largest recorded value.
const TOLERANCE: f64 = 1e-5;

/// The optimizer of a case. Missing arguments have their defaults.
fn optimizer_of(case: &Value) -> Arc<dyn Optimizer> {
    let number = |key: &str, default: f64| case[key].as_f64().unwrap_or(default);
    let rate =
        |default: &dyn Optimizer| LearningRate::Constant(number("learning_rate", default.learning_rate().at(0).into()));
    let weight_decay = number("weight_decay", 0.0).into();
    match case["rule"].as_str().unwrap() {
        "adam" => {
            let default = Adam::default();
            Adam { learning_rate: rate(&default), amsgrad: case["amsgrad"] == true, weight_decay, ..default }.into()
        }
        "adamw" => {
            let default = AdamW::default();
            let weight_decay = number("weight_decay", default.weight_decay.rate).into();
            AdamW { learning_rate: rate(&default), weight_decay, amsgrad: case["amsgrad"] == true, ..default }.into()
        }
        "nadam" => {
            let default = Nadam::default();
            let [beta_1, beta_2] = [number("beta_1", default.beta_1), number("beta_2", default.beta_2)];
            let epsilon = number("epsilon", default.epsilon);
            Nadam { learning_rate: rate(&default), beta_1, beta_2, epsilon, weight_decay }.into()
        }
        "rmsprop" => {
            let default = RMSprop::default();
            RMSprop {
                learning_rate: rate(&default),
                rho: number("rho", default.rho),
                momentum: number("momentum", default.momentum),
                epsilon: number("epsilon", default.epsilon),
                centered: case["centered"] == true,
                weight_decay,
                ..default
            }
            .into()
        }
        "adagrad" => {
            let default = Adagrad::default();
            let initial_accumulator_value = number("initial_accumulator_value", default.initial_accumulator_value);
            Adagrad { learning_rate: rate(&default), initial_accumulator_value, weight_decay, ..default }.into()
        }
        "adadelta" => {
            let default = Adadelta::default();
            let [rho, epsilon] = [number("rho", default.rho), number("epsilon", default.epsilon)];
            Adadelta { learning_rate: rate(&default), rho, epsilon, weight_decay }.into()
        }
        "sgd" => {
            let default = SGD::default();
            let (learning_rate, momentum) = (rate(&default), number("momentum", 0.0));
            SGD { learning_rate, momentum, nesterov: case["nesterov"] == true, weight_decay }.into()
        }
        other => panic!("{other}"),
    }
}

/// The optimizer of a case of `ops.safetensors`, with Keras 2's names.
fn older_optimizer_of(case: &Value) -> Option<Arc<dyn Optimizer>> {
    let number = |key: &str, default: f64| case[key].as_f64().unwrap_or(default);
    match case["rule"].as_str()? {
        "adam" => Some(Adam::default().into()),
        "rmsprop" => Some(RMSprop { epsilon_under_root: false, ..RMSprop::default() }.into()),
        rule if rule.starts_with("sgd") => {
            let learning_rate = InverseTimeDecay::new(number("lr", 0.01), 1, number("decay", 0.0)).into();
            let nesterov = case["nesterov"] == true;
            Some(SGD { learning_rate, momentum: number("mom", 0.0), nesterov, ..SGD::default() }.into())
        }
        _ => None,
    }
}

/// Runs eight steps with the gradients of a case and compares the parameters after each, and their average if there is
/// one.
fn compare(recorded: &Recorded, i: usize, case: &Value, optimizer: &dyn Optimizer) {
    let [parameters, gradients, expected] = ["p0", "gradients", "p"].map(|name| recorded.get(i, name).unwrap());
    let filled = |value: f32| Array::f32(parameters.shape().clone(), vec![f64::from(value); parameters.data.len()]);
    let mut bench = Bench::new();
    let mut rewritten = vec![bench.given(&parameters)];
    let parameters_name = bench.values[0].0.clone();
    rewritten.extend(optimizer.slots().iter().map(|slot| bench.given(&filled(slot.initial))));
    // Each step uses its row of the gradients.
    let order = Array::new(TensorType::new([8], DType::U32), (0..8).map(f64::from).collect());
    let [gradients, order] = [&gradients, &order].map(|value| bench.given(value));
    let gradient = bench.graph.add(Gather { batch: 1, scale: 1.0, offset: 0.0 }, &[gradients, order]).unwrap();
    let gradient = bench.graph.reshape(gradient, parameters.shape().clone()).unwrap();
    let count = parameters.data.len();
    let weights = rewritten[0];
    if optimizer.weight_decay().rate != 0.0 {
        let rate = optimizer.weight_decay().rate as f32;
        bench.graph.update(Arc::new(WeightDecay { rate, count }), &[], &[weights]).unwrap();
    }
    bench.graph.update(optimizer.op(), &[gradient], &rewritten).unwrap();
    let average_name = format!("given {}", bench.values.len());
    if case["use_ema"] == true {
        let momentum = case["ema_momentum"].as_f64().unwrap_or(Compile::default().ema_momentum) as f32;
        let overwrite_frequency = case["ema_overwrite_frequency"].as_u64().unwrap_or(0) as u32;
        let average = bench.given(&filled(0.0));
        let ema = Ema { momentum, overwrite_frequency, count };
        bench.graph.update(Arc::new(ema), &[], &[weights, average]).unwrap();
    }

    let (buffers, mut program) = bench.program();
    let averages = recorded.get(i, "average");
    let rows: Vec<&[f64]> = expected.data.chunks(count).collect();
    assert_eq!(rows.len(), 8);
    for (step, expected) in rows.into_iter().enumerate() {
        let learning_rate = optimizer.learning_rate().at(step as u64);
        let rates = optimizer.rates(step as u64, learning_rate);
        let (first, iteration) = (step as u32, step as u32);
        let told = Step { first, rates, learning_rate, iteration, ..Step::default() };
        program.run(&[told], None).unwrap().wait().unwrap();
        let average = averages.as_ref().map(|averages| (&average_name, &averages.data[step * count..][..count]));
        for (name, expected) in [(&parameters_name, expected)].into_iter().chain(average) {
            let expected = Array::f32(parameters.shape().clone(), expected.to_vec());
            let error = read(&buffers, name, &parameters.ty).relative_error(&expected);
            assert!(error < TOLERANCE, "case {i} {case}: {name} after step {} off by {error:.1e}", step + 1);
        }
    }
}

#[test]
fn eight_steps_of_an_optimizer_are_those_of_keras() {
    let recorded = Recorded::open("optimizers");
    let cases = recorded.cases();
    let cases: Vec<(usize, &Value)> = cases.iter().enumerate().filter(|(_, case)| case["op"] == "optimizer").collect();
    assert_eq!(cases.len(), 25);
    assert_eq!(cases.iter().filter(|(i, _)| recorded.get(*i, "average").is_some()).count(), 3);
    for (i, case) in cases {
        compare(&recorded, i, case, optimizer_of(case).as_ref());
    }
}

#[test]
fn eight_steps_of_an_optimizer_are_those_of_the_recorded_ops() {
    let recorded = Recorded::open("ops");
    let mut checked = 0;
    for (i, case) in recorded.cases().iter().enumerate() {
        let Some(optimizer) = older_optimizer_of(case) else { continue };
        compare(&recorded, i, case, optimizer.as_ref());
        checked += 1;
    }
    assert_eq!(checked, 6);
}

/// Clips the recorded gradients, one flat tensor after the other or, globally, all together.
#[test]
fn clipped_gradients_are_those_of_keras() {
    let recorded = Recorded::open("optimizers");
    let mut checked = 0;
    for (i, case) in recorded.cases().iter().enumerate().filter(|(_, case)| case["op"] == "clip") {
        let get = |name: &str| recorded.get(i, name).unwrap().data;
        let (gradients, expected) = match case["global_clipnorm"].is_number() {
            true => (vec![[get("g0"), get("g1")].concat()], vec![[get("clipped0"), get("clipped1")].concat()]),
            false => (vec![get("g0"), get("g1")], vec![get("clipped0"), get("clipped1")]),
        };
        for (gradient, expected) in gradients.into_iter().zip(expected) {
            let count = gradient.len();
            let limit = |key: &str| case[key].as_f64().map(|limit| limit as f32);
            let op: Arc<dyn Op> = match (limit("clipvalue"), limit("clipnorm").or(limit("global_clipnorm"))) {
                (Some(limit), _) => Arc::new(ClipByValue { limit, count }),
                (_, limit) => Arc::new(ClipByNorm { limit: limit.unwrap(), count }),
            };
            let mut bench = Bench::new();
            let x = bench.given(&Array::f32([count], gradient));
            bench.graph.update(op, &[], &[x]).unwrap();
            let name = bench.values[0].0.clone();
            let found = read(&bench.run(Step::default()), &name, &TensorType::f32([count]));
            let error = found.relative_error(&Array::f32([count], expected));
            assert!(error < 1e-6, "{case}: off by {error:.1e}");
        }
        checked += 1;
    }
    assert_eq!(checked, 4);
}

/// The schedule of a case.
fn schedule_of(case: &Value) -> LearningRate {
    let number = |key: &str| case[key].as_f64().unwrap();
    let numbers = |key: &str| case[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let initial_learning_rate = case["initial_learning_rate"].as_f64().unwrap_or_default();
    let [decay_steps, warmup_steps] = ["decay_steps", "warmup_steps"].map(|key| case[key].as_u64().unwrap_or_default());
    let [staircase, cycle] = ["staircase", "cycle"].map(|key| case[key] == true);
    match case["class"].as_str().unwrap() {
        "ExponentialDecay" => {
            ExponentialDecay { initial_learning_rate, decay_steps, decay_rate: number("decay_rate"), staircase }.into()
        }
        "InverseTimeDecay" => {
            InverseTimeDecay { initial_learning_rate, decay_steps, decay_rate: number("decay_rate"), staircase }.into()
        }
        "PiecewiseConstantDecay" => {
            let boundaries: Vec<f64> = numbers("boundaries");
            let boundaries: Vec<u64> = boundaries.into_iter().map(|boundary| boundary as u64).collect();
            let values: Vec<f64> = numbers("values");
            PiecewiseConstantDecay { boundaries, values }.into()
        }
        "PolynomialDecay" => {
            let [end_learning_rate, power] = ["end_learning_rate", "power"].map(number);
            PolynomialDecay { initial_learning_rate, decay_steps, end_learning_rate, power, cycle }.into()
        }
        "CosineDecay" => {
            let (alpha, warmup_target) = (number("alpha"), case["warmup_target"].as_f64());
            CosineDecay { initial_learning_rate, decay_steps, alpha, warmup_target, warmup_steps }.into()
        }
        "CosineDecayRestarts" => {
            let first_decay_steps = case["first_decay_steps"].as_u64().unwrap();
            let [t_mul, m_mul, alpha] = ["t_mul", "m_mul", "alpha"].map(number);
            CosineDecayRestarts { initial_learning_rate, first_decay_steps, t_mul, m_mul, alpha }.into()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn learning_rates_are_those_of_kerases_schedules() {
    let recorded = Recorded::open("optimizers");
    let mut checked = 0;
    for (i, case) in recorded.cases().iter().enumerate().filter(|(_, case)| case["op"] == "schedule") {
        let [steps, rates] = ["steps", "rates"].map(|name| recorded.get(i, name).unwrap().data);
        for (step, expected) in steps.into_iter().zip(rates) {
            let found = f64::from(schedule_of(case).at(step as u64));
            // The last digit of the initial rate: cosines and powers round differently.
            let error = (found - expected).abs() / case["initial_learning_rate"].as_f64().unwrap_or(1.0);
            assert!(error < 3e-7, "{case}: expected {expected} at step {step}, found {found}");
        }
        checked += 1;
    }
    assert_eq!(checked, 12);
}

#[test]
fn a_schedule_that_makes_no_sense_says_why() {
    let error = |rate: LearningRate| {
        let optimizer = Adam { learning_rate: rate, ..Adam::default() }.into();
        let compile = kiln::Compile { optimizer, ..kiln::Compile::default() };
        crate::common::model().compile(crate::common::device(), compile).unwrap_err().to_string()
    };
    let found = error(PiecewiseConstantDecay::new([3, 5], [0.1, 0.01]).into());
    assert_eq!(found, "values: expected 3, one more than boundaries, found 2");
    let found = error(PiecewiseConstantDecay::new([5, 3], [0.1, 0.01, 0.001]).into());
    assert_eq!(found, "boundaries: expected steps that rise, found [5, 3]");
    assert_eq!(error(CosineDecay::new(0.1, 0).into()), "decay_steps: expected at least 1, found 0");
    assert_eq!(error((-1.0).into()), "learning_rate: expected a number, 0 or more, found -1");
    assert_eq!(error(CosineDecayRestarts::new(0.1, 0).into()), "first_decay_steps: expected at least 1, found 0");
    let shrinking = CosineDecayRestarts { t_mul: 0.5, ..CosineDecayRestarts::new(0.1, 10) };
    assert_eq!(error(shrinking.into()), "t_mul: expected a number, 1 or more, found 0.5");
}
