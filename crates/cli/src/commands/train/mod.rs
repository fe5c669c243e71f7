//! `kiln train`: trains a network.

pub mod arguments;
mod callbacks;
mod class_weight;
mod diverged;
mod input;
mod optimizer;
mod options;
mod place;
mod plateau;
mod quick_check;
mod record;
pub mod report;
mod resume;
mod schedule;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use kiln::augmentation::Augmentation;
use kiln::callbacks::{EarlyStopping, TensorBoard};
use kiln::data::{Dataset, Interpolation, Preprocessing};
use kiln::metrics::OutputMetric;
use kiln::{Callback, Compile, Fit, History, Model};

pub use arguments::Arguments;
pub use record::Training;

use self::callbacks::{Budget, Saver};
use self::input::Input;
use super::network::{self, Known};
use super::run::{self, Rescale, Run};
use super::run_folder::{self, BOARD, RunFolder};
use super::source::{self, Samples};
use super::{augment, devices};
use crate::error::Error;
use crate::interrupt::{self, Interrupt};
use crate::plot;
use crate::progress::Progress;

pub fn run(given: &Arguments) -> Result<ExitCode, Error> {
    network::check(&given.model)?;
    let mut folder = RunFolder::open(&given.place.out(&given.model)?)?;
    let resumed = resume::find(given, &folder)?;
    let arguments = resumed.as_ref().map_or(given, |resumed| &resumed.arguments);
    source::check(arguments.data())?;
    let (mut model, data) = Data::load(arguments, |train| match &resumed {
        Some(resumed) if resumed.itself => resumed.network(&folder),
        _ => untrained(arguments, train),
    })?;
    interrupt::watch()?;

    let mut progress = Progress::new(arguments.epochs());
    let device = devices::open(arguments.device.as_deref())?;
    let compile = compile(arguments, &model, &data)?;
    let mut written = data.describe(report::describe(arguments, &device, &compile, &data.train));
    let training = Training::new(arguments, compile.optimizer.as_ref(), &data.train)?;
    written.training = Some(match &resumed {
        Some(resumed) => resumed.checked(training, &data.train, &model, &folder)?,
        None => {
            initialize(&mut model, arguments)?;
            training
        }
    });
    model.compile(&device, compile)?;
    check(arguments, &mut model, &data)?;
    report::introduce(&written, &model, [data.trained.len(), data.validated.len()], data.test.as_ref());
    let (initial_epoch, before) = match &resumed {
        Some(resumed) => resumed.restore(&mut model, &folder)?,
        None => Default::default(),
    };
    match &resumed {
        Some(resumed) => {
            resumed.introduce(&model, initial_epoch, &written)?;
            written.save(folder.path())?;
        }
        None => begin(arguments, &model, &mut folder, &written)?,
    }

    let history = fit(arguments, &mut model, &data, (initial_epoch, before), &mut progress, folder.path())?;
    let trained = &history.epochs[initial_epoch.min(history.epochs.len())..];
    if let (Some(resumed), true) = (resumed, trained.is_empty()) {
        written = resumed.run; // the new arguments changed nothing
    }
    report::speed(&progress, trained);
    report::loss_scale(model.loss_scale()?);
    if let (Some(test), None) = (&data.test, interrupt::asked())
        && let Some(score) = model.evaluate_with_callbacks(test, &mut [&mut Interrupt])?
    {
        println!("test images: {score}");
        (written.test_loss, written.test_accuracy) = (Some(score.loss), score.get("accuracy"));
    }
    end(&written, &history, folder.path())
}

/// Checks before the folder is claimed, so that a training that cannot start keeps its contents.
fn check(arguments: &Arguments, model: &mut Model, data: &Data) -> Result<(), Error> {
    let batch_size = arguments.batch_size as usize;
    model.check(&data.trained, batch_size)?;
    if let Some(test) = &data.test {
        model.check(test, batch_size)?;
    }
    if let Some(mut plateau) = arguments.reduce_lr_on_plateau.clone() {
        plateau.on_train_begin(model)?;
    }
    Ok(())
}

/// The training data.
struct Data {
    /// All training samples, including the validation set.
    train: Dataset,
    trained: Dataset,
    validated: Dataset,
    test: Option<Dataset>,
    augmentation: Option<Augmentation>,
    class_weight: Option<BTreeMap<usize, f32>>,
    /// The interpolation of resized pictures.
    interpolation: Interpolation,
    /// The preprocessing, if any.
    preprocessing: Option<Preprocessing>,
}

impl Data {
    /// Loads the samples, prepared for the network, and the network.
    fn load(
        arguments: &Arguments,
        network: impl FnOnce(&Dataset) -> Result<Model, Error>,
    ) -> Result<(Model, Data), Error> {
        let augmentation = arguments.augment.as_deref().map(augment::parse).transpose()?;
        quick_check::check(arguments)?;
        let Input { model, samples, interpolation, preprocessing } = Input::new(arguments, network)?;
        let [trained, validated] = samples.split(arguments.validation_split());
        let Samples { train, test, .. } = samples;
        let augmentation = augmentation.map(|augmentation| augmentation.fit(&trained)).transpose()?;
        let test = match (&augmentation, test) {
            (Some(augmentation), Some(test)) => Some(augmentation.standardize(&test)?),
            (_, test) => test,
        };
        let class_weight = class_weight::resolve(&arguments.class_weight, &train)?;
        let data = Data { train, trained, validated, test, augmentation, class_weight, interpolation, preprocessing };
        Ok((model, data))
    }

    /// Records the preparation of the input in a run.
    fn describe(&self, run: Run) -> Run {
        let augmentation = self.augmentation.as_ref();
        let rescale = augmentation.and_then(|augmentation| augmentation.rescale);
        Run {
            interpolation: self.interpolation,
            rescale: rescale.map_or(run.rescale, |factor| Rescale(factor as f32, 0.0)),
            preprocessing: self.preprocessing,
            features: augmentation.and_then(|augmentation| augmentation.features.clone()),
            ..run
        }
    }
}

/// The compile options, with default loss and metrics chosen by the labels.
fn compile(arguments: &Arguments, model: &Model, data: &Data) -> Result<Compile, Error> {
    let loss = arguments.loss.clone().map_or_else(|| run::usual_loss(model, &data.train), Ok)?;
    let smoothing = arguments.label_smoothing.map(|smoothing| ("label_smoothing", smoothing.into()));
    let logits = arguments.from_logits.then(|| ("from_logits", true.into()));
    let loss = run::loss_with(&*loss, smoothing.into_iter().chain(logits))?;
    let metrics = match arguments.metrics.is_empty() {
        true => run::usual_metrics(&*loss, &data.train),
        false => arguments.metrics.clone(),
    };
    if let Some(plateau) = &arguments.reduce_lr_on_plateau {
        plateau::check(plateau, &metrics, !data.validated.is_empty())?;
    }
    let compile = arguments.compile(data.trained.len())?;
    let metrics = metrics.into_iter().map(OutputMetric::from).collect();
    Ok(Compile { loss: loss.into(), metrics, ..compile })
}

/// The network with new weights.
fn untrained(arguments: &Arguments, train: &Dataset) -> Result<Model, Error> {
    match Known::named(&arguments.model) {
        Some(known) => Ok(known.build(train.sample_shape().clone(), train.classes())),
        None => network::single(network::find(&arguments.model)?),
    }
}

/// The network with its initial weights.
fn first(arguments: &Arguments, train: &Dataset) -> Result<Model, Error> {
    let mut model = untrained(arguments, train)?;
    initialize(&mut model, arguments)?;
    Ok(model)
}

/// Sets the initial weights: those of --weights, of the model's folder, or random ones.
fn initialize(model: &mut Model, arguments: &Arguments) -> Result<(), Error> {
    model.initialize(arguments.seed)?;
    let beside = run_folder::named(&arguments.model).map(|folder| folder.join("weights.safetensors"));
    match (&arguments.weights, beside.filter(|file| file.is_file())) {
        (Some(weights), _) => model.load_weights(weights.path()?)?,
        (None, Some(file)) => {
            model.load_weights(&file)?;
            println!("initial weights: {}", file.display());
        }
        (None, None) => {}
    }
    Ok(())
}

/// Claims the folder for the training. If the model itself is from this folder, it is not lost when the training ends
/// early.
fn begin(arguments: &Arguments, model: &Model, folder: &mut RunFolder, run: &Run) -> Result<(), Error> {
    folder.begin(run)?;
    if run_folder::named(&arguments.model).is_some_and(|model| run_folder::is_same(model, folder.path())) {
        model.save(folder.path())?;
    }
    Ok(())
}

/// Trains, and saves after each epoch. Returns the figures of all epochs, including previous ones.
fn fit(
    arguments: &Arguments,
    model: &mut Model,
    data: &Data,
    (initial_epoch, before): (usize, History),
    progress: &mut Progress,
    out: &Path,
) -> Result<History, Error> {
    let mut saver = Saver::new(out, before);
    let mut budget = Budget::new(arguments.minutes);
    let mut patience = arguments.patience.map(|epochs| EarlyStopping {
        patience: epochs as usize,
        restore_best_weights: true,
        ..EarlyStopping::default()
    });
    let mut plateau = arguments.reduce_lr_on_plateau.clone();
    let mut board = arguments.tensorboard.then(|| TensorBoard::new(out.join(BOARD)));
    let mut interrupt = Interrupt;
    let mut callbacks: Vec<&mut dyn Callback> = vec![&mut interrupt, progress, &mut budget, &mut saver];
    callbacks.extend(board.as_mut().map(|callback| callback as &mut dyn Callback));
    callbacks.extend(plateau.as_mut().map(|callback| callback as &mut dyn Callback));
    callbacks.extend(patience.as_mut().map(|callback| callback as &mut dyn Callback));
    let fitted = model.fit_with_callbacks(
        &data.trained,
        Fit {
            epochs: arguments.epochs().unwrap_or(usize::MAX),
            batch_size: arguments.batch_size as usize,
            validation_data: Some(&data.validated).filter(|validated| !validated.is_empty()),
            shuffle: !arguments.no_shuffle,
            seed: arguments.seed,
            augmentation: data.augmentation.as_ref(),
            class_weight: data.class_weight.clone(),
            initial_epoch,
            ..Fit::default()
        },
        &mut callbacks,
    );
    let ended = saver.history();
    let fitted = fitted.map_err(|error| diverged::explain(error, &ended, out, || first(arguments, &data.train)))?;
    let history = History { stopped: fitted.stopped, ..ended };
    if fitted.epochs.is_empty() {
        let why = if fitted.stopped { "it was stopped early" } else { "raise --epochs to continue" };
        println!("no epoch is left after epoch {}: {why}", history.epochs.len());
    }
    history.save(out)?;
    model.save(out)?; // again, because the best weights may have been restored
    Ok(history)
}

/// Records the results.
fn end(run: &Run, history: &History, out: &Path) -> Result<ExitCode, Error> {
    run.save(out)?;
    let curves = report::curves(run, history);
    plot::draw(&curves, &out.join("history.svg"))?;
    plot::draw(&curves, &out.join("history.png"))?;
    if let Some(status) = interrupt::asked() {
        report::stopped(history, out);
        return Ok(ExitCode::from(status));
    }
    println!("saved in {}; see history.png there", out.display());
    Ok(ExitCode::SUCCESS)
}
