//! Weight decay in training. `optimizers.rs` compares its formula with Keras.

use std::sync::Arc;

use kiln::optimizers::{Adadelta, Adagrad, Adam, AdamW, Nadam, Optimizer, RMSprop, SGD, WeightDecay};
use kiln::{Compile, Fit, Model, Weight};

use crate::common::{bars, device, model};

const RATE: f64 = 0.5;

/// The weights before and after one step with an optimizer.
fn step(mut model: Model, optimizer: Arc<dyn Optimizer>) -> [Vec<Weight>; 2] {
    let before = model.get_weights().unwrap();
    model.compile(device(), Compile { optimizer, ..Compile::default() }).unwrap();
    model.fit(&bars(30), Fit::default()).unwrap();
    [before, model.get_weights().unwrap()]
}

/// Expects `p - rate learning_rate p` for the variables for which `decays` is true, before the step of `plain`.
fn check(plain: Arc<dyn Optimizer>, decaying: Arc<dyn Optimizer>, decays: impl Fn(&str) -> bool) {
    let name = format!("{decaying:?}");
    let learning_rate = f64::from(plain.learning_rate().at(0));
    let [before, expected] = step(model(), plain);
    let [_, found] = step(model(), decaying);
    for ((before, expected), found) in before.iter().zip(&expected).zip(&found) {
        let rate = if decays(&found.name) { RATE * learning_rate } else { 0.0 };
        for ((before, expected), value) in before.values.iter().zip(&expected.values).zip(&found.values) {
            let expected = f64::from(*expected) - rate * f64::from(*before);
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{name}, {}: {value} for {expected}", found.name);
        }
    }
    assert_ne!(expected[0].values, found[0].values, "{name}");
}

#[test]
fn all_optimizers_let_weights_decay() {
    let decay = || WeightDecay::from(RATE);
    let learning_rate = || 0.1.into();
    let pairs: [[Arc<dyn Optimizer>; 2]; 7] = [
        [
            SGD { learning_rate: learning_rate(), ..SGD::default() }.into(),
            SGD { learning_rate: learning_rate(), weight_decay: decay(), ..SGD::default() }.into(),
        ],
        [
            Adam { learning_rate: learning_rate(), ..Adam::default() }.into(),
            Adam { learning_rate: learning_rate(), weight_decay: decay(), ..Adam::default() }.into(),
        ],
        [
            AdamW { learning_rate: learning_rate(), weight_decay: 0.0.into(), ..AdamW::default() }.into(),
            AdamW { learning_rate: learning_rate(), weight_decay: decay(), ..AdamW::default() }.into(),
        ],
        [
            Nadam { learning_rate: learning_rate(), ..Nadam::default() }.into(),
            Nadam { learning_rate: learning_rate(), weight_decay: decay(), ..Nadam::default() }.into(),
        ],
        [
            RMSprop { learning_rate: learning_rate(), ..RMSprop::default() }.into(),
            RMSprop { learning_rate: learning_rate(), weight_decay: decay(), ..RMSprop::default() }.into(),
        ],
        [
            Adagrad { learning_rate: learning_rate(), ..Adagrad::default() }.into(),
            Adagrad { learning_rate: learning_rate(), weight_decay: decay(), ..Adagrad::default() }.into(),
        ],
        [
            Adadelta { learning_rate: learning_rate(), ..Adadelta::default() }.into(),
            Adadelta { learning_rate: learning_rate(), weight_decay: decay(), ..Adadelta::default() }.into(),
        ],
    ];
    for [plain, decaying] in pairs {
        check(plain, decaying, |_| true);
    }
}

#[test]
fn excluded_variables_do_not_decay() {
    let sgd = |weight_decay| SGD { learning_rate: 0.1.into(), weight_decay, ..SGD::default() };
    let plain = || sgd(0.0.into()).into();
    let without = |names: &[&str]| sgd(WeightDecay::from(RATE).exclude_from_weight_decay(names.iter().copied())).into();
    check(plain(), without(&["bias"]), |name| name.ends_with("kernel"));
    check(plain(), without(&["dense/kernel"]), |name| name != "dense/kernel");
    check(plain(), without(&["bias", "dense/kernel"]), |name| name == "conv2d/kernel");
}

#[test]
fn frozen_variables_do_not_decay() {
    let mut model = model();
    model.set_trainable("dense", false).unwrap();
    let optimizer = SGD { weight_decay: RATE.into(), ..SGD::default() };
    let [before, after] = step(model, optimizer.into());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.values == after.values, before.name.starts_with("dense"), "{}", before.name);
    }
}

#[test]
fn a_decay_that_makes_no_sense_says_why() {
    let error = |weight_decay| {
        let optimizer = SGD { weight_decay, ..SGD::default() }.into();
        model().compile(device(), Compile { optimizer, ..Compile::default() }).unwrap_err().to_string()
    };
    let unknown = WeightDecay::from(0.1).exclude_from_weight_decay(["bias", "bais"]);
    let expected =
        "exclude_from_weight_decay: expected part of a variable's name (bias, kernel) or layer/variable, found `bais`";
    assert_eq!(error(unknown), expected);
    assert_eq!(error((-0.1).into()), "weight_decay: expected a number, 0 or more, found -0.1");
    assert_eq!(error(f64::NAN.into()), "weight_decay: expected a number, 0 or more, found NaN");
}
