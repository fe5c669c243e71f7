//! `kiln train`: trains a network.

pub mod arguments;
mod callbacks;
mod class_weight;
mod optimizer;
mod plateau;
pub mod report;
mod schedule;

use std::path::Path;
use std::process::ExitCode;

use kiln::callbacks::{EarlyStopping, TensorBoard};
use kiln::data::Dataset;
use kiln::{Callback, Compile, Fit, History, Model};

pub use arguments::Arguments;

use self::callbacks::{Budget, CHECKPOINT, Saver};
use super::network::{self, Known};
use super::source::{self, Samples};
use super::{augment, devices, run};
use crate::error::Error;
use crate::interrupt::{self, Interrupt};
use crate::plot;
use crate::progress::{Progress, words};

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let out = arguments.out();
    std::fs::create_dir_all(&out).map_err(Error::file("create the folder", &out))?;
    let augmentation = arguments.augment.as_deref().map(augment::parse).transpose()?;
    let Samples { train, test } = source::load(arguments.data(), &arguments.images)?;
    let (trained, validated) = train.split(arguments.validation_split());
    let augmentation = augmentation.map(|augmentation| augmentation.fit(&trained)).transpose()?;
    let test = match (&augmentation, test) {
        (Some(augmentation), Some(test)) => Some(augmentation.standardize(&test)?),
        (_, test) => test,
    };
    interrupt::watch()?;

    let mut progress = Progress::new(arguments.epochs());
    let device = devices::open(arguments.device.as_deref())?;
    let mut model = build(arguments, &train)?;
    let compile = arguments.compile(trained.len())?;
    let class_weight = class_weight::resolve(&arguments.class_weight, &train)?;
    let mut written = report::describe(arguments, &device, &compile, &train);
    let loss = arguments.loss.unwrap_or(run::usual_loss(&train));
    model.compile(&device, Compile { loss, from_logits: arguments.from_logits, ..compile })?;
    let (initial_epoch, before) = if arguments.resume { resume(&mut model, &out)? } else { Default::default() };
    report::introduce(&written, &model, [trained.len(), validated.len()], test.as_ref());

    let mut saver = Saver::new(&out, written.clone(), before);
    let mut budget = Budget::new(arguments.minutes);
    let mut patience = arguments.patience.map(|epochs| EarlyStopping {
        patience: epochs as usize,
        restore_best_weights: true,
        ..EarlyStopping::default()
    });
    let mut plateau = arguments.reduce_lr_on_plateau.clone();
    let mut board = arguments.tensorboard.then(|| TensorBoard::new(out.join("tensorboard")));
    let mut interrupt = Interrupt;
    let mut callbacks: Vec<&mut dyn Callback> = vec![&mut interrupt, &mut progress, &mut budget, &mut saver];
    callbacks.extend(board.as_mut().map(|callback| callback as &mut dyn Callback));
    callbacks.extend(plateau.as_mut().map(|callback| callback as &mut dyn Callback));
    callbacks.extend(patience.as_mut().map(|callback| callback as &mut dyn Callback));
    model.fit(
        &train,
        Fit {
            epochs: arguments.epochs().unwrap_or(usize::MAX),
            batch_size: arguments.batch_size as usize,
            validation_split: arguments.validation_split(),
            shuffle: !arguments.no_shuffle,
            seed: arguments.seed,
            augmentation: augmentation.as_ref(),
            class_weight,
            initial_epoch,
            callbacks,
            ..Fit::default()
        },
    )?;
    let history = saver.history();
    history.save(&out)?;
    model.save(&out)?; // once more: the best weights may have been restored
    report::speed(&progress, &history);

    if let (Some(test), None) = (&test, interrupt::asked())
        && let Some(score) = model.evaluate_with_callbacks(test, &mut [&mut Interrupt])?
    {
        println!("test images: {}", words(&score.figures()));
        (written.test_loss, written.test_accuracy) = (Some(score.loss), score.get("accuracy"));
    }
    written.save(&out)?;
    let curves = report::curves(&written, &history);
    plot::draw(&curves, &out.join("history.svg"))?;
    plot::draw(&curves, &out.join("history.png"))?;
    if let Some(status) = interrupt::asked() {
        println!("stopped in epoch {}; all until then is saved in {}", history.epochs.len(), out.display());
        return Ok(ExitCode::from(status));
    }
    println!("saved in {}; see history.png there", out.display());
    Ok(ExitCode::SUCCESS)
}

/// The network with its first weights.
fn build(arguments: &Arguments, train: &Dataset) -> Result<Model, Error> {
    let known = Known::named(&arguments.model);
    let mut model = match known {
        Some(known) => known.build(train.sample_shape().clone(), train.classes()),
        None => network::find(&arguments.model)?,
    };
    model.initialize(arguments.seed)?;
    if let Some(weights) = &arguments.weights {
        model.load_weights(weights.path()?)?;
    }
    Ok(model)
}

/// Puts the model where the training in a folder ended. Gives how many epochs are over, and their figures.
fn resume(model: &mut Model, out: &Path) -> Result<(usize, History), Error> {
    let epochs = model.load_checkpoint(out.join(CHECKPOINT))?;
    let mut history = History::load(out)?;
    history.epochs.truncate(epochs);
    history.stopped = false;
    Ok((epochs, history))
}
