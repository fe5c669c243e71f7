//! What `kiln train` says, and what it writes down of itself.

use kiln::data::Dataset;
use kiln::{Compile, Device, History, Model};

use super::{Arguments, optimizer, plateau};
use crate::commands::run::{DType, Rescale, Run, image_of};
use crate::commands::source;
use crate::plot::Curves;
use crate::progress::{Progress, rate};

/// What the training was asked for.
pub fn describe(arguments: &Arguments, device: &Device, compile: &Compile, train: &Dataset) -> Run {
    let (image_size, color_mode) = image_of(train.sample_shape());
    Run {
        model: arguments.model.clone(),
        data: source::from_anywhere(arguments.data()),
        samples: train.len(),
        classes: train.class_names().to_vec(),
        dtype: DType::of(train),
        image_size,
        color_mode,
        rescale: Rescale::of(train),
        loss: compile.loss.clone(),
        metrics: compile.metrics.clone(),
        device: device.info().name.clone(),
        optimizer: optimizer::words(compile),
        batch_size: arguments.batch_size as usize,
        validation_split: arguments.validation_split(),
        augment: arguments.augment.clone(),
        reduce_lr_on_plateau: arguments.reduce_lr_on_plateau.as_ref().map(plateau::words),
        class_weight: arguments.class_weight.iter().map(ToString::to_string).collect(),
        seed: arguments.seed,
        ..Run::default()
    }
}

/// The lines before the first epoch. `parts` is how many samples are trained on and validated with.
pub fn introduce(run: &Run, model: &Model, [train, validate]: [usize; 2], test: Option<&Dataset>) {
    let parameters = model.summary().parameters();
    println!("{} with {parameters} parameters on {}", run.model, run.device);
    let test = test.map(|test| format!(", {} to test", test.len())).unwrap_or_default();
    println!("{}: {train} samples to train, {validate} to validate{test}", run.data);
    println!("{}", run.input_words(model));
    println!("{}, batches of {}, seed {}", run.optimizer, run.batch_size, run.seed);
    if let Some(augment) = &run.augment {
        println!("images are changed at random: {augment}");
    }
}

/// How fast it was.
pub fn speed(progress: &Progress, history: &History) {
    if let Some(took) = progress.first_step() {
        let speed = history.epochs.iter().map(|logs| logs.images_per_second).sum::<f64>() / history.epochs.len() as f64;
        println!("first step after {:.2} s; {} images/s on average", took.as_secs_f64(), rate(speed));
    }
}

/// The picture of the history.
pub fn curves(run: &Run, history: &History) -> Curves {
    let score = run.test_accuracy.map(|accuracy| format!(": test accuracy {:.2} %", 100.0 * accuracy));
    let figure = |name: &str| history.epochs.iter().filter_map(|logs| logs.get(name)).collect();
    Curves {
        title: format!("{} on {}{}", run.model, run.data, score.unwrap_or_default()),
        accuracy: figure("accuracy"),
        val_accuracy: figure("val_accuracy"),
        loss: figure("loss"),
        val_loss: figure("val_loss"),
    }
}
