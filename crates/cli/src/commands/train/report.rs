//! The output of `kiln train`, and its record in `run.json`.

use std::path::Path;

use kiln::data::Dataset;
use kiln::{Compile, Device, EpochLogs, History, LossScale, Model, Precision};

use super::{Arguments, optimizer, plateau};
use crate::commands::run::{DType, Rescale, Run, image_of};
use crate::commands::{counted, source};
use crate::plot::{Curves, Panel};
use crate::progress::{Progress, rate};

/// The run of a training.
pub fn describe(arguments: &Arguments, device: &Device, compile: &Compile, train: &Dataset) -> Run {
    let (image_size, color_mode) = image_of(train.sample_shape());
    let unknown = Run::default();
    Run {
        model: arguments.model.clone(),
        data: source::from_anywhere(arguments.data()),
        samples: train.len(),
        classes: train.class_names().to_vec(),
        dtype: DType::of(train),
        image_size,
        color_mode,
        rescale: Rescale::of(train),
        loss: compile.loss.values().next().cloned().unwrap_or(unknown.loss),
        metrics: compile.metrics.iter().map(|metric| metric.metric.clone()).collect(),
        device: device.info().name.clone(),
        optimizer: optimizer::words(compile),
        batch_size: arguments.batch_size as usize,
        accumulate: compile.accumulate,
        precision: compile.precision,
        validation_split: arguments.validation_split(),
        augment: arguments.augment.clone(),
        reduce_lr_on_plateau: arguments.reduce_lr_on_plateau.as_ref().map(plateau::words),
        class_weight: arguments.class_weight.iter().map(ToString::to_string).collect(),
        seed: arguments.seed,
        ..Run::default()
    }
}

/// Prints the lines before the first epoch, with the numbers of training and validation samples.
pub fn introduce(run: &Run, model: &Model, [train, validate]: [usize; 2], test: Option<&Dataset>) {
    let parameters = model.summary().parameters();
    println!("{} with {parameters} parameters on {}", run.model, run.device);
    let test = test.map(|test| format!(", {} to test", test.len())).unwrap_or_default();
    println!("{}: {} to train, {validate} to validate{test}", run.data, counted(train, "samples"));
    println!("{}", run.input_words(model));
    let shards = if run.accumulate > 1 { format!(" in {} shards", run.accumulate) } else { String::new() };
    println!("{}, batches of {}{shards}, seed {}", run.optimizer, run.batch_size, run.seed);
    if run.precision != Precision::Float32 {
        println!("precision: {}", run.precision);
    }
    if let Some(augment) = &run.augment {
        println!("augmentation: {augment}");
    }
}

/// Prints the speed of the epochs trained by this command.
pub fn speed(progress: &Progress, trained: &[EpochLogs]) {
    if let Some(took) = progress.first_step() {
        let speed = trained.iter().map(|logs| logs.images_per_second).sum::<f64>() / trained.len().max(1) as f64;
        println!("first step after {:.2} s; {} images/s on average", took.as_secs_f64(), rate(speed));
    }
}

/// Prints the state of loss scaling at the end of a training in mixed precision.
pub fn loss_scale(state: Option<LossScale>) {
    if let Some(LossScale { scale, skipped_steps, .. }) = state {
        let steps = if skipped_steps == 1 { "step" } else { "steps" };
        println!("loss scale {scale}; {skipped_steps} {steps} skipped because of gradients that were not finite");
    }
}

/// Prints the last line of a training that was stopped.
pub fn stopped(history: &History, out: &Path) {
    println!("stopped in epoch {}; progress is saved in {}", history.epochs.len(), out.display());
}

/// The learning curves: a panel per metric, accuracy first, and one for the loss.
pub fn curves(run: &Run, history: &History) -> Curves {
    let score = run.test_accuracy.map(|accuracy| format!(": test accuracy {:.2} %", 100.0 * accuracy));
    let figure = |name: &str| history.epochs.iter().filter_map(|logs| logs.get(name)).collect();
    let panel = |name: &str| Panel {
        name: name.to_owned(),
        train: figure(name),
        validation: figure(&format!("val_{name}")),
        most: if name.ends_with("accuracy") { 1.0 } else { f64::INFINITY },
    };
    let metrics = history.epochs.first().map(|logs| logs.metrics.iter().map(|(name, _)| name).collect::<Vec<_>>());
    let mut names = metrics.unwrap_or_default();
    names.push("loss");
    Curves {
        title: format!("{} on {}{}", run.model, run.data, score.unwrap_or_default()),
        panels: names.into_iter().map(panel).collect(),
    }
}

#[cfg(test)]
mod tests {
    use kiln::Figures;

    use super::*;

    fn names(metrics: Figures) -> Vec<String> {
        let logs = EpochLogs { epoch: 1, loss: 0.5, metrics, ..EpochLogs::default() };
        let history = History { epochs: vec![logs], ..History::default() };
        curves(&Run::default(), &history).panels.into_iter().map(|panel| panel.name).collect()
    }

    #[test]
    fn the_picture_has_a_panel_for_each_metric_and_the_loss() {
        assert_eq!(names(Figures::from([("accuracy", 0.5)])), ["accuracy", "loss"]);
        let metrics = Figures::from([("binary_accuracy", 0.5), ("mean_absolute_error", 2.0)]);
        assert_eq!(names(metrics), ["binary_accuracy", "mean_absolute_error", "loss"]);
        assert_eq!(names(Figures::default()), ["loss"]);
    }
}
