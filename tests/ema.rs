//! The exponential moving average of weights in training. `optimizers.rs` compares its formula with Keras.

use std::ops::ControlFlow;

use kiln::optimizers::SGD;
use kiln::{Callback, Compile, EpochLogs, Fit, Model};

use crate::common::{bars, bits, device, model};

fn compile() -> Compile {
    let optimizer = SGD { learning_rate: 0.5.into(), momentum: 0.5, ..SGD::default() };
    Compile { optimizer: optimizer.into(), use_ema: true, ema_momentum: 0.75, ..Compile::default() }
}

fn values(model: &Model) -> Vec<f32> {
    model.get_weights().unwrap().into_iter().flat_map(|weight| weight.values).collect()
}

/// The weights at the end of each epoch.
#[derive(Default)]
struct Watch(Vec<Vec<f32>>);

impl Callback for Watch {
    fn on_epoch_end(&mut self, model: &mut Model, _: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.0.push(values(model));
        Ok(ControlFlow::Continue(()))
    }
}

/// The weights after each of `steps` steps, and after training.
fn steps(compile: Compile, steps: usize) -> (Vec<Vec<f32>>, Vec<f32>) {
    let (mut model, mut watch) = (model(), Watch::default());
    model.compile(device(), compile).unwrap();
    let fit = Fit { epochs: steps, batch_size: 30, shuffle: false, ..Fit::default() };
    model.fit_with_callbacks(&bars(30), fit, &mut [&mut watch]).unwrap();
    (watch.0, values(&model))
}

/// `0.75 average + 0.25 weights` after each step; the first average is the first weights.
fn average(weights: &[Vec<f32>]) -> Vec<f32> {
    weights[1..].iter().fold(weights[0].clone(), |average, weights| {
        average.iter().zip(weights).map(|(a, w)| 0.75 * a + 0.25 * w).collect()
    })
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let error = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error < 1e-6, "off by {error}");
}

#[test]
fn the_average_replaces_the_weights_when_training_ends() {
    let (plain, _) = steps(Compile { use_ema: false, ..compile() }, 5);
    let (watched, last) = steps(compile(), 5);
    assert_eq!(watched, plain, "until then the weights are those of a training without an average");
    assert_close(&last, &average(&plain));
    assert_ne!(last, plain[4]);
}

#[test]
fn the_average_replaces_the_weights_every_so_many_steps() {
    let (plain, _) = steps(Compile { use_ema: false, ..compile() }, 3);
    let (watched, last) = steps(Compile { ema_overwrite_frequency: Some(3), ..compile() }, 3);
    assert_eq!(watched[..2], plain[..2]);
    assert_close(&watched[2], &average(&plain));
    assert_eq!(last, watched[2]);
}

#[test]
fn an_average_does_not_depend_on_the_steps_per_execution() {
    let run = |steps_per_execution| {
        let mut model = model();
        let compile = Compile { ema_overwrite_frequency: Some(5), steps_per_execution, ..compile() };
        model.compile(device(), compile).unwrap();
        model.fit(&bars(70), Fit { epochs: 2, batch_size: 3, ..Fit::default() }).unwrap();
        bits(&model.get_weights().unwrap())
    };
    assert_eq!(run(Some(1)), run(Some(32)));
}

/// Saves a checkpoint after the second epoch.
struct Save(std::path::PathBuf);

impl Callback for Save {
    fn on_checkpoint(&mut self, model: &mut Model, logs: &EpochLogs) -> kiln::Result<()> {
        if logs.epoch == 2 {
            model.save_checkpoint(&self.0)?;
        }
        Ok(())
    }
}

#[test]
fn a_checkpoint_holds_the_average() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let (mut whole, mut save) = (model(), Save(path.clone()));
    whole.compile(device(), compile()).unwrap();
    whole.fit_with_callbacks(&bars(70), Fit { epochs: 4, ..Fit::default() }, &mut [&mut save]).unwrap();

    let mut resumed = model();
    resumed.compile(device(), compile()).unwrap();
    let initial_epoch = resumed.load_checkpoint(&path).unwrap();
    resumed.fit(&bars(70), Fit { epochs: 4, initial_epoch, ..Fit::default() }).unwrap();
    assert_eq!(bits(&whole.get_weights().unwrap()), bits(&resumed.get_weights().unwrap()));

    let mut without = model();
    without.compile(device(), Compile { use_ema: false, ..compile() }).unwrap();
    let error = without.load_checkpoint(&path).unwrap_err().to_string();
    assert!(error.contains("optimizer/average/conv2d/kernel"), "{error}");
}

#[test]
fn arguments_that_make_no_sense_say_why() {
    let error = |compile| model().compile(device(), compile).unwrap_err().to_string();
    let found = error(Compile { ema_momentum: 1.5, ..compile() });
    assert_eq!(found, "ema_momentum: expected 0 to 1, found 1.5");
    let found = error(Compile { ema_overwrite_frequency: Some(0), ..compile() });
    assert_eq!(found, "ema_overwrite_frequency: expected at least 1, or none, found 0");
    let sgd = SGD { momentum: 9.0, ..SGD::default() };
    let found = error(Compile { optimizer: sgd.into(), ..compile() });
    assert_eq!(found, "momentum: expected 0 to 1, found 9");
}
